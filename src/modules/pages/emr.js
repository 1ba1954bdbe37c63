// The record of each call as the EMR holds it. Text only ever becomes text.
const body = document.getElementById('calls'), open = new Set();
const el = (tag, props = {}, ...children) => { const e = Object.assign(document.createElement(tag), props); e.append(...children); return e; };
const cell = (text) => el('td', { textContent: text ?? '' });
const clock = (t) => (t ? new Date(t).toLocaleTimeString('zh-CN') : '');
const results = { answered: '接听 answered', abandoned: '放弃 abandoned', lost: '丢失 lost', refused_capacity: '容量拒绝 refused' };
let shown = '';
async function refresh() {
  let calls;
  try { calls = await fetch('/api/calls').then((r) => r.json()); document.getElementById('error').textContent = ''; }
  catch { document.getElementById('error').textContent = '模块没有应答 the module does not answer'; return; }
  const print = JSON.stringify([calls, [...open]]);
  if (print === shown) return; // nothing changes under the finger
  shown = print;
  body.replaceChildren(...calls.flatMap((c) => {
    const r = c.record || {}, rec = (r.recordings || []).find((one) => one.sha256), orders = r.dispatch?.orders ?? [];
    const more = el('button', { type: 'button', textContent: open.has(c.call) ? '收起 less' : '全部 all', onclick: () => { open.has(c.call) ? open.delete(c.call) : open.add(c.call); refresh(); } });
    more.setAttribute('aria-expanded', open.has(c.call));
    const row = el('tr', {}, cell(r.serial_no), cell(r.caller?.number?.display || '未知 unknown'), cell(clock(r.times?.received)), cell(clock(r.times?.answered)), cell(results[r.end?.result] ?? (r.end ? r.end.result : '进行中 open')),
      cell(rec ? `${rec.tracks.length} 轨 tracks, ${(rec.duration_ms / 1000).toFixed(1)} s` : ''), cell([...new Set(orders.map((o) => o.vehicle).filter(Boolean))].join(', ')), cell(c.rev), el('td', { className: 'acts' }, more));
    if (!open.has(c.call)) return [row];
    const td = el('td', { colSpan: 9 }, el('pre', { textContent: JSON.stringify(r, null, 2) }));
    return [row, el('tr', {}, td)];
  }));
}
refresh(); setInterval(refresh, 1000);
