// 交接班、投诉、突发事件: what people keep an eye on beyond the talk.
import { $, api, ask, button, el, rows, tag, tell } from '/parts.js';
import { t } from '/text.js';

let complaints = [], shifts = { open: {}, handovers: [] }, revision = -1;
const word = (entry) => (t().name === 'zh' ? entry.zh : entry.en);
const when = (micros) => new Date(micros / 1000).toLocaleTimeString();
const told = (run) => run.then(() => tell(t().done)).catch((error) => tell(error.message, true));

/// The checklist of a major incident: each step with who did it.
export async function openSteps(call, name) {
  const sheet = await api('GET', `/calls/${call}/form`).catch((error) => tell(error.message, true));
  if (!sheet?.major) return;
  const tick = (step) => api('PUT', `/calls/${call}/steps/${step.code}`, { done: !step.by }).catch((error) => tell(error.message, true)).then(() => openSteps(call, name));
  const row = (step) => el('div', { className: 'row' }, button(`step-${step.code}`, step.by ? '✓' : '　', () => tick(step)), el('span', { className: 'grow', textContent: word(step) }), step.by ? el('span', { className: 'dim small', textContent: `${step.by} ${when(step.at)}` }) : null);
  ask({ title: t().ask_steps(name), wide: true, fields: [{ shown: el('div', { className: 'told' }, sheet.major.steps.map(row)) }] });
}
/// Beside a call: 受理时间超长 (the second step is for everybody), 医学指导.
export const handlingTags = (c) => [c.handling_level ? tag(t().overlong, c.handling_level > 1 ? 'hot' : 'warm') : null, c.medical_advice ? tag(t().advice, 'blue') : null];
/// Beside a call: how far its checklist is.
export const stepsButton = (c, name) => (c.major ? button('steps', t().major(...c.major), () => openSteps(c.call, name), { className: 'stop' }) : null);
export const majorButton = (call, name) => button('major', t().mark_major, () => told(api('POST', `/calls/${call}/major`).then(() => openSteps(call, name))));

export function complainButton(call, name) {
  return button('complain', t().complain, () => ask({ title: t().ask_complain(name), yes: t().complain, fields: [{ name: 'text', label: t().ask_text }, { name: 'person', label: t().ask_person, optional: true }, { name: 'number', label: t().ask_number, kind: 'tel', optional: true }],
    run: (body) => api('POST', '/complaints', { call, ...Object.fromEntries(Object.entries(body).filter(([, text]) => text)) }) }));
}
function complaintRow(c) {
  const acts = !c.leads ? [] : c.closed ? [button('lift_hold', t().lift_hold, () => told(api('POST', `/complaints/${c.complaint}/lift_hold`)))]
    : [button('close', t().close, () => ask({ title: t().ask_close_complaint, yes: t().close, fields: [{ name: 'outcome', label: t().ask_outcome }], run: (body) => api('POST', `/complaints/${c.complaint}/close`, body) }))];
  return el('div', { className: 'row' }, tag(c.closed ? t().closed : t().complaint, c.closed ? '' : 'hot'), c.held ? tag(t().held, 'warm') : null, el('span', { className: 'grow small', title: c.text, textContent: [c.person, c.number, c.text].filter(Boolean).join(' · ') }), el('span', { className: 'dim small', textContent: `${c.by} ${when(c.at)}` }), ...acts);
}
function handoverRow(h) {
  const count = (list) => list?.length ?? 0;
  const open = t().open_items(count(h.items.calls), count(h.items.call_backs), count(h.items.complaints));
  return el('div', { className: 'row' }, tag(t().handover, h.taken_by ? '' : 'warm'), el('span', { className: 'small', textContent: `${h.from} → ${h.to} ${when(h.at)}` }), el('span', { className: 'grow dim small', title: h.note, textContent: [open, h.note].filter(Boolean).join(' · ') }),
    h.taken_by ? el('span', { className: 'dim small', textContent: `✓ ${h.taken_by} ${when(h.taken_at)}` }) : h.mine ? button('take_over', t().take_over_shift, () => told(api('POST', `/handovers/${h.handover}/take_over`))) : null);
}
export function drawDuty(view, leads, own) {
  const listed = complaints.filter((c) => !c.closed || c.held).map((c) => ({ ...c, leads }));
  const pending = shifts.handovers.filter((h, n) => !h.taken_by || n < 3).map((h) => ({ ...h, mine: leads || h.to === own }));
  $('duty-count').textContent = listed.length + pending.filter((h) => !h.taken_by).length || '';
  const seats = view.seats.filter((s) => s.seat !== own).map((s) => [s.seat, s.seat]);
  $('hand-over').textContent = t().hand_over;
  $('hand-over').onclick = () => ask({ title: t().hand_over, yes: t().hand_over, fields: [{ name: 'to', label: t().ask_to, choices: seats }, { name: 'note', label: t().form.note, optional: true }], run: (body) => api('POST', '/handovers', body) });
  rows($('duty'), [...pending, ...listed].slice(0, 100), (one) => one.handover ?? one.complaint, (one) => (one.handover ? handoverRow(one) : complaintRow(one)), t().none_duty);
}
/// Asked for again only when they have changed.
export async function refreshDuty(view, leads, own) {
  if (view.duty_revision === revision) return;
  const now = view.duty_revision, before = revision;
  revision = now;
  try { [complaints, shifts] = await Promise.all([api('GET', '/complaints'), api('GET', '/handovers')]); drawDuty(view, leads, own); } catch (error) { revision = before; tell(error.message, true); }
}
