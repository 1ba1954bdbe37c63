// What the engine sent, and the orders that go back to it. Text only ever becomes text.
const $ = (id) => document.getElementById(id);
const el = (tag, props = {}, ...children) => { const e = Object.assign(document.createElement(tag), props); e.append(...children.filter((c) => c != null)); return e; };
const clock = (t) => (t ? new Date(t).toLocaleString('zh-CN') : '');

async function send(path, body) {
  const r = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  if (r.ok) return;
  const p = await r.json().catch(() => ({}));
  let said = p.detail || r.statusText; // the engine's own problem, passed on
  try { said = JSON.parse(said).detail || said; } catch { /* plain words */ }
  throw new Error(`${r.status}: ${said}`);
}
function ask(title, { vehicle, reason, yes, run }) {
  $('title').textContent = title; $('yes').textContent = yes; $('ask-error').textContent = '';
  $('vehicle-label').hidden = vehicle == null; $('vehicle').required = vehicle != null; $('vehicle').value = vehicle ?? '';
  $('reason-label').hidden = !reason; $('reason').required = !!reason; $('reason').value = '';
  $('no').onclick = () => $('ask').close();
  $('ask').querySelector('form').onsubmit = async (e) => {
    e.preventDefault();
    try { await run({ ...(vehicle == null ? {} : { vehicle: $('vehicle').value.trim() }), ...(reason ? { reason: $('reason').value.trim() } : {}) }); $('ask').close(); refresh(); }
    catch (error) { $('ask-error').textContent = error.message; }
  };
  $('ask').showModal();
  (vehicle == null ? $('reason') : $('vehicle')).focus();
}
function where(record) {
  const rows = [], names = { pidf: '手机定位 phone', ali: '装机地址 line', cell: '基站 cell' };
  for (const l of record.locations || []) rows.push([names[l.source] || l.source, [l.civic?.detail || l.civic, l.lat != null ? `${l.lat.toFixed(5)}, ${l.lon.toFixed(5)} ${l.crs || ''}` : '', l.radius_m ? `±${Math.round(l.radius_m)} m` : ''].filter(Boolean).join(' · ')]);
  const line = record.caller?.line;
  if (line?.owner) rows.push(['机主 owner', line.owner]);
  return rows;
}
const states = { issued: ['已派 sent', 'good'], reassigned: ['已改派 reassigned', 'good'], cancelled: ['已取消 cancelled', 'hot'] };
function orders(c) {
  return el('table', {}, ...c.orders.map((o) => {
    const [word, tone] = states[o.state], path = `/api/calls/${c.call}/orders/${o.id}`, over = o.state === 'cancelled';
    return el('tr', {}, el('td', { textContent: o.vehicle }), el('td', {}, el('span', { className: `state ${tone}`, textContent: word })), el('td', { textContent: o.reason }), el('td', { className: 'acts' },
      el('button', { textContent: '改派 Reassign', disabled: over, onclick: () => ask(`改派 Reassign ${o.vehicle}`, { vehicle: '', reason: true, yes: '改派', run: (b) => send(`${path}/reassign`, b) }) }), ' ',
      el('button', { textContent: '取消 Cancel', disabled: over, onclick: () => ask(`取消 Cancel ${o.vehicle}`, { reason: true, yes: '取消派车', run: (b) => send(`${path}/cancel`, b) }) })));
  }));
}
function card(c) {
  const r = c.record || {}, number = r.caller?.number?.display || '未知号码 unknown';
  const dl = el('dl');
  for (const [k, v] of [['流水号 serial', r.serial_no], ['呼入 received', clock(r.times?.received)], ['接听 answered', clock(r.times?.answered)], ['事件 incident', c.incident], ...where(r)]) if (v) dl.append(el('dt', { textContent: k }), el('dd', { textContent: v }));
  const e = el('article', { className: c.closed ? '' : 'open' },
    el('header', {}, el('b', { textContent: number }), el('span', { className: `state ${c.closed ? '' : 'good'}`, textContent: c.closed ? '已结束 closed' : '进行中 open' }), el('span', { className: 'state', textContent: `rev ${c.rev}` }),
      el('button', { className: 'main', textContent: '派车 Send', onclick: () => ask(`派车 Send · ${number}`, { vehicle: '粤B·120急01', yes: '派车', run: (b) => send(`/api/calls/${c.call}/orders`, b) }) })), dl, c.orders.length ? orders(c) : null);
  e.print = JSON.stringify(c); e.dataset.call = c.call;
  return e;
}
async function refresh() {
  try {
    const [calls, events] = await Promise.all(['/api/calls', '/api/events'].map((u) => fetch(u).then((r) => r.json())));
    $('count').textContent = calls.length; $('events').textContent = events.length + (events.length === 500 ? '+' : ''); $('error').textContent = '';
    if (!calls.length) return;
    const old = new Map([...$('calls').children].map((e) => [e.dataset.call, e]));
    const cards = calls.map((c) => { const kept = old.get(c.call); return kept?.print === JSON.stringify(c) ? kept : card(c); }); // a card that did not change stays under the finger
    cards.forEach((e, n) => { if ($('calls').children[n] !== e) $('calls').insertBefore(e, $('calls').children[n] ?? null); });
    while ($('calls').children.length > cards.length) $('calls').lastChild.remove();
  } catch { $('error').textContent = '模块没有应答 the module does not answer'; }
}
refresh(); setInterval(refresh, 1000);
