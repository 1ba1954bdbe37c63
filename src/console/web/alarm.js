// Alarms that are spoken: a seat's line is lost or back, somebody waits too long. Recorded sentences, in the order in which they arose, each once.
import { $, tell } from '/parts.js';
import { t } from '/text.js';

const digits = (seat) => [...seat].filter((c) => c >= '0' && c <= '9').map((c) => `digit_${c}`);
const clips = {
  fault: (seat) => ['seat_fault.1', ...digits(seat), 'seat_fault.2'],
  back: (seat) => [...(t().name === 'en' ? ['seat_recovered.1'] : []), ...digits(seat), 'seat_recovered.2'],
  wait: () => ['wait_alert'],
};
const UNSAID_MAX = 8;
let faults = new Set(), late = new Set(), unsaid = [], speaking = false;
const holds = { fault: (seat) => faults.has(seat), back: (seat) => !faults.has(seat), wait: () => late.size > 0 };

function play(clip) {
  const sound = $('sound');
  return new Promise((done, failed) => {
    sound.onended = done;
    sound.onerror = () => failed(new Error(clip));
    sound.src = `/api/v1/prompts/${t().name === 'zh' ? 'zh-CN' : 'en'}/${clip}`;
    sound.play().catch(failed);
  });
}
/// A browser is silent until its page was touched once: the button says so, and the alarm waits for it.
const touched = () => new Promise((done) => {
  const ask = $('sound-on');
  ask.textContent = t().sound_on; ask.hidden = false;
  ask.onclick = () => { ask.hidden = true; done(); };
});
async function speak() {
  if (speaking) return;
  speaking = true;
  for (let one; (one = unsaid.shift());) {
    if (!holds[one.kind](one.seat)) continue; // over meanwhile
    try {
      for (const clip of clips[one.kind](one.seat)) await play(clip);
    } catch (error) {
      if (error.name === 'NotAllowedError') { await touched(); unsaid.unshift(one); } else tell(`${t().no_sound}: ${error.message}`, true);
    }
  }
  speaking = false;
}
function say(kind, seat) {
  if (kind === 'wait' && unsaid.some((one) => one.kind === 'wait')) return;
  unsaid.push({ kind, seat });
  if (unsaid.length > UNSAID_MAX) unsaid.shift();
  speak();
}

/// What is new in the picture. A seat hears of its own line and of callers who wait, but not while it talks: its loudspeaker stands beside the microphone.
/// A supervisor hears all.
export function speakAlarms(view, me, leads) {
  const own = view.seats.find((s) => s.seat === me.seat);
  const [gone, waited] = [faults, late];
  faults = new Set(view.alarms.filter((a) => a.code === 'seat.unreachable' && (leads || a.subject === me.seat)).map((a) => a.subject));
  late = new Set(view.calls.filter((c) => c.wait_exceeded && c.position != null).map((c) => c.call));
  for (const seat of faults) if (!gone.has(seat)) say('fault', seat);
  for (const seat of gone) if (!faults.has(seat) && view.seats.some((s) => s.seat === seat && s.registered)) say('back', seat);
  if ([...late].some((call) => !waited.has(call)) && (leads || own?.state !== 'talking')) say('wait');
}
