// 受理单: what people write on a call, open or ended. Only what a person changed is sent, for the revision that was read.
import { api, ask, button, el, tell } from '/parts.js';
import { majorButton, openSteps } from '/duty.js';
import { t } from '/text.js';

const texts = ['patient_name', 'chief_complaint', 'scene', 'pickup', 'contact_name', 'contact_number', 'contact_relation'];
const numbers = ['sex', 'age_years', 'casualties'], chosen = ['reason', 'area'];
const word = (entry) => (t().name === 'zh' ? entry.zh : entry.en);
export const words = (choice) => (choice ? word(choice) : '');
const choices = (list) => [['', '—'], ...list.map((e) => [e.l2 ? `${e.l1}/${e.l2}` : e.l1, e.l2 ? `　${word(e)}` : word(e)])];
const code = (choice) => (choice ? [choice.l1, choice.l2].filter(Boolean).join('/') : '');
const shown = (form) => Object.fromEntries([...[...texts, ...numbers].map((name) => [name, String(form[name] ?? '')]), ...chosen.map((name) => [name, code(form[name])])]);
function sent(name, text) {
  if (text === '') return null;
  if (numbers.includes(name)) return /^\d+$/.test(text) ? Number(text) : text; // the server says what is wrong with it
  if (!chosen.includes(name)) return text;
  const [l1, l2] = text.split('/');
  return l2 ? { l1, l2 } : { l1 };
}

export async function openForm(call, name) {
  const path = `/calls/${call}`;
  let lists, sheet;
  try { [lists, sheet] = await Promise.all([api('GET', '/form_lists'), api('GET', `${path}/form`)]); } catch (error) { return tell(error.message, true); }
  let { revision } = sheet, was = shown(sheet.form), type = sheet.call_type?.code ?? '';
  const of = (field, more = {}) => ({ name: field, label: t().form[field], value: was[field], optional: true, ...more });
  const order = ['patient_name', 'sex', 'age_years', 'casualties', 'chief_complaint', 'reason', 'area', 'scene', 'pickup', 'contact_name', 'contact_number', 'contact_relation'];
  const more = { sex: { choices: [['', '—'], ...Object.entries(t().sexes).sort(([a], [b]) => (a === '0') - (b === '0'))] }, age_years: { kind: 'numeric' }, casualties: { kind: 'numeric' }, contact_number: { kind: 'tel' }, reason: { choices: choices(lists.reasons) }, area: { choices: choices(lists.areas) } };
  const told = [sheet.changed_by && `${t().written} ${sheet.changed_by} · ${new Date(sheet.changed_at / 1000).toLocaleTimeString()} · ${t().revision(revision)}`, ...(sheet.notes ?? []).map((n) => `${n.by}: ${n.text}`)].filter(Boolean);
  ask({
    title: t().ask_form(name), yes: t().save, wide: true,
    fields: [of('call_type', { value: type, choices: choices(lists.call_types) }), ...order.filter((field) => field !== 'area' || lists.areas.length).map((field) => of(field, more[field])), { name: 'note', label: t().form.note, value: '', optional: true },
      { shown: el('div', { className: 'told dim small' }, told.map((line) => el('p', { textContent: line })), sheet.major ? button('steps', t().steps, () => openSteps(call, name)) : majorButton(call, name)) }],
    run: async (now) => {
      const change = Object.fromEntries(order.filter((field) => now[field] != null && now[field] !== was[field]).map((field) => [field, sent(field, now[field])]));
      if (Object.keys(change).length) {
        try {
          revision = (await api('PATCH', `${path}/form`, change, { 'if-match': `"${revision}"` })).revision;
        } catch (error) {
          if (error.status === 412) ({ revision } = await api('GET', `${path}/form`)); // told who wrote what; a second press puts in the own fields only
          throw error;
        }
        was = { ...was, ...now };
      }
      if (now.call_type && now.call_type !== type) { await api('PUT', `${path}/type`, { code: now.call_type }); type = now.call_type; }
      if (now.note) await api('POST', `${path}/notes`, { text: now.note });
    },
  });
}
export const formButton = (call, name) => button('form', t().form_button, () => openForm(call, name));

/// The form's lines in a call's record.
export function formFacts(record) {
  const p = record.person ?? {}, f = record.form ?? {}, c = record.contact ?? {}, words_of = t().form;
  const patient = [p.name, p.sex ? t().sexes[p.sex] : '', p.age_years != null ? t().years(p.age_years) : '', f.casualties > 1 ? t().people(f.casualties) : ''].filter(Boolean).join(' · ');
  return [[words_of.call_type, record.call_type && word(record.call_type)], [t().patient, patient], [words_of.chief_complaint, f.chief_complaint], [words_of.reason, words(record.reason)], [words_of.area, words(record.area)],
    [words_of.scene, f.scene], [words_of.pickup, f.pickup], [words_of.contact_name, [c.name, c.relation, c.number].filter(Boolean).join(' · ')], ...(record.notes ?? []).map((n) => [words_of.note, n.text])];
}
