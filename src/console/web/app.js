// The live page: calls, seats, call-backs, and the commands that the signed-in person may give.
import { speakAlarms } from '/alarm.js';
import { $, api, ask, asking, askToken, button, checkAsked, el, logOut, rows, setClock, tag, tell, tick, timer } from '/parts.js';
import { refreshCaller } from '/caller.js';
import { drawCounters } from '/counters.js';
import { drawDuty, handlingTags, refreshDuty, stepsButton } from '/duty.js';
import { drawGroups, refreshGroups } from '/groups.js';
import { formButton, openForm, words } from '/form.js';
import { drawMarks, labels, markButton, refreshMarks } from '/marks.js';
import { playOrPause, redraw, refresh } from '/record.js';
import { assistance, hearing, orders, partyName, queueListening, selfTest, supervision } from '/supervise.js';
import { other, swap, t } from '/text.js';
import { whyCall, whySeat } from '/why.js';

let view = null, me = { role: 'seat', seat: null }, known = false;
const leads = () => me.role === 'supervisor' || me.role === 'admin';
const mine = (c) => leads() || (me.seat && c.seat === me.seat);
const open = (call) => () => view.calls.some((c) => c.call === call);
const command = (method, path, body) => api(method, path, body).then(() => tell(t().done)).catch((error) => tell(error.message, true));
// A seat of its own talks in it: a joined call may be with the seat of another.
const seated = (c) => c.legs.some((l) => l.party.startsWith('seat-'));
// Calls that can be joined to it: somebody waits or talks there, and it is joined to none yet.
const joinable = (c) => view.calls.filter((o) => o.call !== c.call && o.state !== 'closing' && !o.joined_with.length && o.legs.some((l) => l.party === 'caller')).map((o) => [o.call, `${name(o)} · ${t().call[o.state]}`]);
const name = (c) => c.caller || c.number || t().unknown;
const who = (c) => el('span', { className: 'number', textContent: name(c), title: name(c) });
const tones = { signed_out: '', not_ready: 'warm', ready: 'good', reserved: 'blue', ringing: 'blue', talking: 'blue', wrap_up: 'warm', listening: 'blue', unreachable: 'hot' };

function askHangUp(c) {
  ask({ title: t().ask_hang_up(name(c)), yes: t().hang_up, stop: true, alive: open(c.call), run: () => api('POST', `/calls/${c.call}/hang_up`) });
}
function askParty(c) {
  ask({ title: t().ask_add, yes: t().add, alive: open(c.call), fields: [{ name: 'number', label: t().ask_number, kind: 'tel' }, { name: 'role', label: t().ask_role, value: 'doctor', choices: Object.entries(t().roles).filter(([role]) => !['peer', 'group'].includes(role)).sort(([a], [b]) => (b === 'doctor') - (a === 'doctor')) }],
    run: (body) => api('POST', `/calls/${c.call}/parties`, body) });
}
function askJoin(c) {
  ask({ title: t().ask_join(name(c)), yes: t().join, alive: open(c.call), fields: [{ name: 'with', label: t().ask_with, choices: c.others }], run: (body) => api('POST', `/calls/${c.call}/join`, body) });
}
function askListen(c) {
  const phones = view.seats.filter((s) => s.supervisor && s.registered).map((s) => [s.seat, s.seat]);
  ask({ title: t().ask_listen(name(c)), yes: t().listen, alive: open(c.call), fields: [{ name: 'seat', label: t().ask_seat, value: me.seat, choices: phones }], run: (body) => api('POST', `/calls/${c.call}/listen`, body) });
}
function askDial(seat) {
  ask({ title: t().ask_dial(seat), yes: t().dial, fields: [{ name: 'number', label: t().ask_dialled, kind: 'tel' }], run: (body) => api('POST', `/seats/${seat}/dial`, body) });
}
function askLink(c) {
  ask({ title: t().ask_link(name(c)), yes: t().link, fields: [{ name: 'to', label: t().ask_with, choices: c.links }], run: (body) => api('POST', `/calls/${c.call}/link`, body) });
}
// The numbers of crews that were sent: who calls from one of them is known.
function askCrew(c) {
  ask({ title: t().ask_crew(name(c)), yes: t().crew, alive: open(c.call), fields: [{ name: 'numbers', label: t().ask_crew_numbers, optional: true, value: (c.crew ?? []).join(' ') }], run: ({ numbers }) => api('PUT', `/calls/${c.call}/crew`, { numbers: numbers.replaceAll('-', '').split(/[\s,，、]+/).filter(Boolean) }) });
}
const askBridge = (c) => ask({ title: t().ask_bridge(name(c)), yes: t().bridge, fields: [{ name: 'number', label: t().crew, choices: c.crew.map((n) => [n.replaceAll('-', ''), n]) }], run: (body) => api('POST', `/calls/${c.call}/bridge`, body) });
// On any registered phone; who sits there is signed out.
function askSignIn(s) {
  const phones = view.phones.filter((p) => p.seat !== s.seat).map((p) => [p.phone, p.seat ? `${p.phone} · ${p.seat}` : p.phone]);
  ask({ title: t().ask_sign_in(s.seat), yes: t().sign_in, fields: [{ name: 'phone', label: t().ask_phone, choices: phones }], run: (body) => api('POST', `/seats/${s.seat}/sign_in`, body) });
}
function askNotReady(seat) {
  ask({ title: t().ask_not_ready(seat), yes: t().not_ready, fields: [{ name: 'reason', label: t().ask_reason, value: t().reasons[0] }], run: (body) => api('POST', `/seats/${seat}/not_ready`, body) });
}
const askClose = (b) => ask({ title: t().ask_close(name(b)), yes: t().close, fields: [{ name: 'outcome', label: t().ask_outcome }], alive: () => view.call_backs.some((one) => one.call_back === b.call_back), run: (body) => api('POST', `/call_backs/${b.call_back}/close`, body) });

const listening = (c) => (!leads() || c.state === 'closing' ? [] : supervision(c, me.seat, command, () => askListen(c)));
function waitingRow(c) {
  return el('div', { className: 'row' }, timer(c.received_at, 8, 10), who(c), el('span', { className: 'dim small grow', textContent: [c.called, c.trunk].filter(Boolean).join(' · ') }),
    ...labels(c), c.wait_exceeded ? tag(t().exceeded, 'hot') : null, c.position != null ? tag(t().ahead(c.position)) : null,
    tag(c.seat ? `${t().call[c.state]} ${c.seat}` : t().call[c.state], 'blue'), whyCall(c, name(c)), ...(leads() ? orders(c, view.seats) : []), ...listening(c));
}
function talkRow(c) {
  const closing = c.state === 'closing';
  const legs = c.legs.filter((l) => l.party !== 'caller' || l.state !== 'up').map((l) => [tag([partyName(l), t().leg[l.state] ?? l.state].filter(Boolean).join(' '), l.state === 'up' ? 'good' : 'warm'),
    /^(caller|seat-|supervisor-|relief-)/.test(l.party) || closing || !mine(c) ? null : button(`remove-${l.leg}`, l.state === 'up' ? t().remove : t().cancel, () => command('DELETE', `/calls/${c.call}/parties/${l.leg}`))]);
  const made = c.direction !== 'inbound';
  return el('div', { className: 'row' }, timer(c.answered_at ?? c.received_at), made ? tag(t().direction[c.direction], 'blue') : null, who(c), ...labels(c), ...handlingTags(c), c.call_type ? tag(words(c.call_type)) : null, stepsButton(c, name(c)), el('span', { className: legs.length > 1 ? 'legs more' : 'legs' }, legs.flat()), el('span', { className: 'grow' }),
    made && !closing && mine(c) && c.links.length ? button('link', t().link, () => askLink(c)) : null,
    ['talking', 'held'].includes(c.state) && !c.with ? null : tag(c.with ? t().joined_with(c.with) : t().call[c.state], closing ? '' : 'blue'),
    ...silence(c), ...onHold(c), ...onShelf(c), ...(closing ? [] : shelf(c)), ...(closing ? [] : assistance(c, me, leads(), command)),
    ...(closing || !mine(c) || !seated(c) ? [] : [...transferring(c), ...(c.hold ? [] : [button('ask_silent', t().ask_silent, () => command('POST', `/calls/${c.call}/ask_silent`))]), ...holding(c), button('add', t().add, () => askParty(c)), ...(c.others.length ? [button('join', t().join, () => askJoin(c))] : [])]), ...listening(c),
    closing || !mine(c) ? null : formButton(c.call, name(c)),
    closing || !mine(c) || !seated(c) ? null : button('advice', t().advice, () => command('PUT', `/calls/${c.call}/advice`, { on: !c.medical_advice }), { 'aria-pressed': String(c.medical_advice) }),
    closing || !mine(c) ? null : button('crew', t().crew, () => askCrew(c)), c.crew?.length ? button('bridge', t().bridge, () => askBridge(c)) : null,
    closing || !mine(c) ? null : markButton(c, open(c.call)),
    ...(closing || c.shelf || !mine(c) ? [] : [button('hang_up', t().hang_up, () => askHangUp(c), { className: 'stop' })]));
}
// On hold: the seat's phone takes back what it began, else the page does.
function holding(c) {
  if (!c.hold) return [button('hold', t().hold, () => command('POST', `/calls/${c.call}/hold`))];
  return c.hold.by === 'phone' ? [] : [button('hold', t().resume, () => command('POST', `/calls/${c.call}/resume`))];
}
// Put aside: its owner takes the caller back, anybody when there is none.
function shelf(c) {
  if (c.shelf) {
    const taker = me.seat ?? c.seat;
    return taker && (mine(c) || !c.seat) ? [button('unshelve', t().resume, () => command('POST', `/calls/${c.call}/unshelve`, { seat: taker }))] : [];
  }
  return mine(c) && seated(c) ? [button('shelve', t().shelve, () => command('POST', `/calls/${c.call}/shelve`))] : [];
}
const onShelf = (c) => c.shelf ? [timer(c.shelf.since, 60, 240)] : [];
// A call goes to another seat or outside; until it is completed the seat has it.
function askTransfer(c, outside) {
  const free = view.seats.filter((s) => s.seat !== c.seat && ['ready', 'wrap_up'].includes(s.state)).map((s) => [s.seat, `${s.seat} · ${t().state[s.state]}`]);
  const target = outside ? { name: 'number', label: t().ask_number, kind: 'tel' } : { name: 'seat', label: t().ask_to_seat, choices: free };
  ask({ title: t().ask_transfer(name(c)), yes: t().transfer, alive: open(c.call), fields: [target, { name: 'kind', label: t().ask_kind, choices: Object.entries(t().kinds) }], run: (body) => api('POST', `/calls/${c.call}/transfer`, body) });
}
function transferring(c) {
  if (c.transfer) return [tag(t().to(c.transfer.to), 'blue'), ...(c.transfer.up && seated(c) ? [button('complete', t().complete, () => command('POST', `/calls/${c.call}/transfer/complete`))] : []), ...(c.answered_at ? [button('cancel_transfer', t().resume, () => command('DELETE', `/calls/${c.call}/transfer`))] : [])];
  return [button('transfer', t().transfer, () => askTransfer(c, false)), button('transfer_out', t().transfer_out, () => askTransfer(c, true))];
}
// Asked to press a key because he could not be heard; the key is shown.
const silence = (c) => c.silent ? [tag(c.silent.key ? t().pressed(c.silent.key) : t().asked_silent, c.silent.key ? 'hot' : 'warm')] : [];
const onHold = (c) => c.hold ? [tag(t().on_hold, c.hold.reminded ? 'hot' : 'warm'), timer(c.hold.since, 30, 60)] : [];
function seatCard(s) {
  const acts = [];
  if (leads() || s.seat === me.seat) {
    if (['wrap_up', 'not_ready'].includes(s.state)) acts.push(button('ready', t().ready, () => command('POST', `/seats/${s.seat}/ready`)));
    if (['wrap_up', 'ready', 'not_ready'].includes(s.state) && s.registered) acts.push(button('dial', t().dial, () => askDial(s.seat)));
    if (['wrap_up', 'ready'].includes(s.state)) acts.push(button('not_ready', t().not_ready, () => askNotReady(s.seat)));
    if (!['talking', 'listening'].includes(s.state) && s.others) acts.push(button('sign_in', t().sign_in, () => askSignIn(s)));
    if (['ready', 'not_ready', 'wrap_up', 'talking'].includes(s.state)) acts.push(button('sign_out', t().sign_out, () => ask({ title: t().ask_sign_out(s.seat), yes: t().sign_out, run: () => api('POST', `/seats/${s.seat}/sign_out`) })));
    else if (s.state === 'signed_out' && s.registered) acts.push(button('ready', t().ready, () => command('POST', `/seats/${s.seat}/ready`)));
  }
  if (s.state === 'ready') acts.push(whySeat(s));
  if (leads()) acts.push(...queueListening(s, command));
  return el('div', { className: `seat ${tones[s.state]} ${s.seat === me.seat ? 'own' : ''}` }, el('span', {}, el('b', { textContent: s.seat }), s.supervisor ? tag(t().supervisor) : null, s.phone && s.phone !== s.seat ? tag(s.phone) : null), timer(s.state === 'signed_out' ? 0 : s.since),
    el('span', { className: `word ${tones[s.state]}`, textContent: t().state[s.state] + (s.reason && s.state !== 'signed_out' ? ` (${s.reason})` : '') }), acts.length ? el('div', { className: 'acts' }, acts) : null);
}
const callBackRow = (b) => el('div', { className: 'row' }, timer(b.due_at, 60, 180), who(b), b.overdue ? tag(t().overdue, 'hot') : null, b.urgent ? tag(t().repeated(b.calls), 'hot') : b.calls > 1 ? tag(`×${b.calls}`, 'hot') : null, el('span', { className: 'grow' }), b.attempts ? tag(t().tried(b.attempts), 'warm') : null, tag(t()[b.reason] ?? b.reason, 'warm'), b.state === 'open' ? (me.seat ? button('call_back', t().call_back, () => command('POST', `/call_backs/${b.call_back}/dial`, { seat: me.seat }), { className: 'main' }) : null) : tag([t().back[b.state], b.state === 'dialling' ? b.seat : null].filter(Boolean).join(' '), 'blue'), button('close', t().close, () => askClose(b)));

function draw() {
  for (const e of document.querySelectorAll('[data-t]')) e.textContent = t()[e.dataset.t];
  $('language').textContent = other();
  $('me').textContent = known ? [t().role[me.role], me.seat].filter(Boolean).join(' ') : '';
  $('session').textContent = known ? t().log_out : t().log_in;
  if (!view) return;
  $('counters').replaceChildren(...Object.entries(t().counters).filter(([key]) => key !== 'refused' || view.refused).map(([key, word]) => el('span', { className: (key === 'lost' || key === 'refused') && view[key] ? 'hot' : '' }, word, el('b', { textContent: view[key] }))));
  drawCounters(view.counters);
  $('trunks').replaceChildren(...view.trunks.flatMap((k) => { const e = tag(`${k.trunk} ${k.up ? '✓' : k.up === false ? '✕' : '?'}`, k.up ? 'good' : k.up === false ? 'hot' : ''); e.title = k.up ? t().trunk_up : k.up === false ? `${t().trunk_down}: ${k.detail}` : t().trunk_unknown; return [e, ...selfTest(k.trunk, view, leads() ? command : null)]; }));
  const phones = view.seats.some((s) => s.supervisor && s.registered);
  const numbers = new Map(view.calls.map((c) => [c.call, name(c)]));
  const free = view.seats.filter((s) => ['ready', 'wrap_up'].includes(s.state)).map((s) => s.seat);
  const calls = view.calls.map((c) => ({ ...c, phones, free: c.position == null ? null : free, mine: mine(c), others: mine(c) && seated(c) ? joinable(c) : [], links: c.direction === 'inbound' ? [] : view.calls.filter((o) => o.call !== c.call).map((o) => [o.call, name(o)]), with: c.joined_with.map((call) => numbers.get(call)).join(', ') }));
  const waits = (c) => c.answered_at == null && c.direction === 'inbound';
  const waiting = calls.filter((c) => waits(c) && c.state !== 'closing'), talking = calls.filter((c) => !waits(c));
  $('waiting-count').textContent = waiting.length || ''; $('talking-count').textContent = talking.length || ''; $('call-backs-count').textContent = view.call_backs.length || '';
  rows($('waiting'), waiting, (c) => c.call, waitingRow, t().none_waiting);
  rows($('talking'), talking, (c) => c.call, talkRow, t().none_talking);
  rows($('seats'), view.seats.map((s) => ({ ...s, role: me.role, others: view.phones.some((p) => p.phone !== s.phone), ...(s.supervisor ? hearing(s, view, numbers) : {}) })), (s) => s.seat, seatCard);
  rows($('call-backs'), view.call_backs.slice(0, 100), (b) => b.call_back, callBackRow, t().none_call_back);
  drawMarks(leads());
  drawDuty(view, leads(), me.seat);
  drawGroups(view, leads(), me.seat);
  rows($('alarms'), view.alarms, (a) => `${a.code} ${a.subject}`, (a) => el('p', {}, `⚠ ${a.code} ${a.subject} `, el('small', { textContent: a.detail })));
  checkAsked();
}

function live() {
  const source = new EventSource('/api/v1/live');
  const link = (up) => { $('link').textContent = up ? t().up : t().down; $('link').classList.toggle('down', !up); };
  source.onmessage = (m) => { view = JSON.parse(m.data); setClock(view.at_now); link(true); draw(); refreshCaller(view, me.seat); speakAlarms(view, me, leads()); refreshMarks(view, leads()); refreshDuty(view, leads(), me.seat); refreshGroups(view, leads(), me.seat); };
  source.onerror = () => { link(false); if (source.readyState === EventSource.CLOSED) setTimeout(() => { source.close(); begin(); }, 2000); };
}
function changeLanguage() { swap(); if (view) $('link').textContent = t().up; draw(); if (known) redraw(); if (view) refreshCaller(view, me.seat); }
const help = () => ask({ title: t().keys, fields: [{ shown: el('dl', {}, t().key_list.flatMap(([key, what]) => [el('dt', {}, el('kbd', { textContent: key })), el('dd', { textContent: what })])) }] });

document.addEventListener('keydown', (e) => {
  if (asking() || e.ctrlKey || e.altKey || e.metaKey || /^(INPUT|SELECT|TEXTAREA|AUDIO)$/.test(e.target.tagName)) return;
  const own = view?.calls.find((c) => me.seat && c.seat === me.seat && seated(c) && c.answered_at != null && c.state !== 'closing');
  const acts = { '?': help, l: changeLanguage, p: playOrPause, r: me.seat && (() => command('POST', `/seats/${me.seat}/ready`)), n: me.seat && (() => askNotReady(me.seat)), d: me.seat && (() => askDial(me.seat)), t: own && (() => askParty(own)), b: own && own.hold?.by !== 'phone' && (() => command('POST', `/calls/${own.call}/${own.hold ? 'resume' : 'hold'}`)), f: own && (() => openForm(own.call, name(own))), h: own && (() => askHangUp(own)) };
  const act = acts[e.key.toLowerCase()];
  if (act) { e.preventDefault(); act(); }
});
$('language').onclick = changeLanguage;
$('keys').onclick = help;
$('session').onclick = () => (known ? logOut() : askToken());
/// Who sits here, then what happens: who is not signed in is asked for the token first.
async function begin() {
  try { me = await api('GET', '/me'); known = true; } catch (error) {
    $('session').hidden = false;
    if (error.status === 401) { known = false; draw(); if (asking()) setTimeout(begin, 2000); else askToken(); return; }
    tell(error.message, true);
  }
  $('session').hidden = false;
  draw(); live(); refresh();
}
draw();
await begin();
setInterval(() => view && refreshGroups(view, leads(), me.seat), 1000);
setInterval(tick, 100); setInterval(() => known && refresh(), 1500);
