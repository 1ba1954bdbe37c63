// 群呼: many numbers rung at once, and what came of each.
import { $, api, ask, button, el, rows, tag, tell, timer } from '/parts.js';
import { t } from '/text.js';

let all = [], groups = [], revision = -1, busy = false;
const when = (micros) => (micros ? new Date(micros / 1000).toLocaleTimeString() : '');
const count = (g, wanted) => g.targets.filter(wanted).length;
const named = (g) => g.group ?? t().group.numbers(g.targets.length);

/// The table: each number with its state or result.
function openTable(id) {
  const g = all.find((one) => one.group_call === id);
  if (!g) return;
  const tone = (x) => (x.result === 'acknowledged' ? 'good' : x.result ? 'hot' : x.state === 'listening' ? 'blue' : 'warm');
  const row = (x) => el('div', { className: 'row' }, el('span', { className: 'number', textContent: x.number }), tag(x.result ? t().group.results[x.result] : t().group.states[x.state], tone(x)), x.attempts > 1 ? tag(`×${x.attempts}`) : null, el('span', { className: 'grow' }), el('span', { className: 'dim small', textContent: [x.answered_at ? `${t().group.answered} ${when(x.answered_at)}` : '', when(x.ended_at)].filter(Boolean).join(' · ') }));
  ask({ title: t().group.table(named(g)), wide: true, fields: [{ shown: el('div', { className: 'told' }, g.targets.map(row)) }] });
}
const cancel = (g) => ask({ title: t().group.ask_cancel(named(g)), yes: t().group.cancel, stop: true, alive: () => all.some((one) => one.group_call === g.group_call && !one.ended_at), run: () => api('POST', `/group_calls/${g.group_call}/cancel`) });
function groupRow(g) {
  const acked = count(g, (x) => x.result === 'acknowledged'), failed = count(g, (x) => x.result && x.result !== 'acknowledged');
  return el('div', { className: 'row' }, g.ended_at ? el('span', { className: 'dim small', textContent: when(g.started_at) }) : timer(g.started_at), el('span', { className: 'number', textContent: named(g), title: named(g) }), g.number ? tag(g.number, 'blue') : null, g.first_wins ? tag(t().group.first) : null,
    tag(t().group.acked(acked, g.targets.length), acked ? 'good' : ''), tag(t().group.picked(count(g, (x) => x.answered_at))), failed ? tag(t().group.failed(failed), 'warm') : null, el('span', { className: 'grow dim small', textContent: g.by }),
    button('table', t().group.show, () => openTable(g.group_call)), g.ended_at ? tag(t().group.ends[g.ended_why] ?? g.ended_why) : g.mine ? button('cancel', t().group.cancel, () => cancel(g), { className: 'stop' }) : null);
}
/// A list of numbers or a configured group; the call that it is about, when there is one.
function start(calls) {
  const choices = [['', t().group.list], ...groups.map((g) => [g.group, `${g.group} (${g.numbers.length})`])];
  const about = [['', t().group.none], ...calls];
  ask({ title: t().group.start, yes: t().group.ring, wide: true, fields: [{ name: 'group', label: t().group.which, choices }, { name: 'numbers', label: t().group.these, optional: true, max: 4000 }, { name: 'prompt', label: t().group.prompt, value: 'group_alert' }, { name: 'digit', label: t().group.digit, value: '1' }, { name: 'call', label: t().group.call, choices: about }, { name: 'first_wins', label: t().group.who, choices: [['', t().group.everybody], ['yes', t().group.first]] }],
    run: (body) => {
      const numbers = body.numbers.split(/[\s,;，；、]+/).filter(Boolean);
      return api('POST', '/group_calls', { numbers, prompt: body.prompt, digit: body.digit, first_wins: body.first_wins === 'yes', ...(body.group ? { group: body.group } : {}), ...(body.call ? { call: body.call } : {}) });
    } });
}
export function drawGroups(view, leads, own) {
  const numbers = new Map(view.calls.map((c) => [c.call, c.caller]));
  const shown = all.filter((g, n) => !g.ended_at || n < 5).map((g) => ({ ...g, number: numbers.get(g.call), mine: leads || g.by === `seat ${own}` }));
  $('groups-count').textContent = shown.filter((g) => !g.ended_at).length || '';
  $('start-group').textContent = t().group.start;
  $('start-group').onclick = () => api('GET', '/groups').then((found) => { groups = found; start([...numbers].map(([call, number]) => [call, number || t().unknown])); }).catch((error) => tell(error.message, true));
  rows($('groups'), shown, (g) => g.group_call, groupRow, t().group.none_yet);
}
/// Asked for again only when they have changed, twice a second at most.
export async function refreshGroups(view, leads, own) {
  if (view.group_calls_revision === revision || busy) return;
  busy = true;
  const now = view.group_calls_revision;
  try { all = await api('GET', '/group_calls'); revision = now; drawGroups(view, leads, own); } catch (error) { tell(error.message, true); }
  setTimeout(() => { busy = false; }, 500);
}
