// Who calls this seat (来电弹屏): from the first ring to the end of the talk, and anew with each thing found out about the call.
import { $, api, button, el, rows, tag } from '/parts.js';
import { choose, facts, outcome, place, tone, when } from '/record.js';
import { t } from '/text.js';

// The record is written right after the live view tells of it: it is looked at again soon after each change.
const LOOKS_MS = [0, 150, 600, 2000];
const EARLIER = 20;
let call = null, record = null, earlier = [], asked = '', drawn = '', looks = [];

async function look(id) {
  const [found] = await api('GET', `/records?call=${id}`).catch(() => []);
  const number = found?.caller?.number?.e164;
  const calls = number ? await api('GET', `/records?number=${encodeURIComponent(number)}&limit=${EARLIER + 1}`).catch(() => []) : [];
  if (!found || call?.call !== id) return; // another call rings meanwhile
  record = found; earlier = calls.filter((r) => r.call_id !== id).slice(0, EARLIER);
  draw();
}

const earlierRow = (r) => el('div', { className: 'row' }, el('span', { className: 'small', textContent: `${new Date(r.at).toLocaleDateString()} ${when(r.at)}` }), tag(r.outcome, r.tone), el('span', { className: 'grow' }), button('record', t().open_record, () => choose(r.call)));
function draw() {
  const card = $('caller'), line = record?.caller?.line ?? {};
  const key = call ? `${call.call} ${call.state} ${record?.rev} ${earlier.length} ${t().name}` : '';
  if (key === drawn) return;
  drawn = key;
  card.parentElement.hidden = !call;
  if (!call) return card.replaceChildren();
  const list = el('div', { className: 'rows' });
  card.replaceChildren(el('p', {}, el('b', { className: 'number', textContent: record?.caller?.number?.display || call.caller || t().unknown }), ' ', tag(t().call[call.state], 'blue'), ' ', earlier.length ? tag(t().times(earlier.length), 'warm') : null),
    facts([[t().owner, line.owner], [t().address, line.install_address], ...(record?.locations ?? []).map((l) => [t().place, place(l)]), [t().incident, record?.incident_id]]), list);
  rows(list, earlier.map((r) => ({ call: r.call_id, at: r.times?.received, outcome: outcome(r), tone: tone(r) })), (r) => r.call, earlierRow, record ? t().none_earlier : '');
}

/// After each live view.
export function refreshCaller(view, seat) {
  const own = seat ? view.calls.find((c) => c.seat === seat && c.state !== 'closing' && c.direction === 'inbound') : null;
  if (own?.call !== call?.call) { record = null; earlier = []; }
  call = own ?? null;
  draw();
  const wanted = call ? `${call.call} ${call.findings}` : '';
  if (wanted === asked) return;
  asked = wanted;
  looks.forEach(clearTimeout);
  looks = call ? LOOKS_MS.map((after) => setTimeout(look, after, call.call)) : [];
}
