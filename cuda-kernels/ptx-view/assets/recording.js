"use strict";
// What the recording says, and the state after a step.

const threads = steps[0]?.live ?? 0;
const finding = data.finding && {
  ...data.finding,
  number: data.finding.thread[0] + data.block[0] * (data.finding.thread[1] + data.block[1] * data.finding.thread[2]),
  inBlock: data.finding.block[0] + data.grid[0] * (data.finding.block[1] + data.grid[1] * data.finding.block[2]),
};
/** Is it this warp's, and the last step its place? */
const isMine = finding && !data.isCut && finding.inBlock === data.inBlock && finding.number >> 5 === data.warp;

const isDivergence = ({ pc, here, active }) => code[pc].jumps && active !== 0 && active !== here;
const JUMPS = [
  { name: "divergence", key: "d", holds: isDivergence },
  { name: "barrier", key: "b", holds: ({ pc }) => code[pc].isBarrier },
  { name: "finding", key: "f", holds: (step) => isMine && step === steps.at(-1) },
];
for (const jump of JUMPS) jump.at = steps.flatMap((step, index) => (jump.holds(step) ? [index] : []));

/** Does the step that is shown have the finding? */
const isFault = () => isMine && now === steps.length - 1;

/** The words that an access touches: for each, the lanes. */
function touched({ at, bytes, active }) {
  const found = new Map();
  const addresses = row(at);
  for (const lane of lanesOf(active)) {
    const first = addresses[lane] / BigInt(WORD);
    const end = (addresses[lane] + BigInt(bytes) + BigInt(WORD - 1)) / BigInt(WORD);
    for (let word = first; word < end; word++) {
      if (!found.has(word)) found.set(word, []);
      found.get(word).push(lane);
    }
  }
  return found;
}



const NEVER = -2;
const COPY = -1;
const memoryWords = Math.ceil(data.sharedBytes / WORD);
const state = { at: -1, registers: new Map(), shared: [], barriers: 0 };

function restart() {
  state.at = -1;
  state.registers.clear();
  state.shared = Array.from({ length: memoryWords }, () => ({ value: 0, thread: NEVER, barriers: -1, step: -1 }));
  state.barriers = 0;
}

function write(runs = [], step) {
  for (const [word, thread, barriers, length, values] of runs) {
    row(values, length).forEach((value, index) => {
      const writer = thread === null ? COPY : thread + index;
      state.shared[word + index] = { value: Number(value), thread: writer, barriers, step };
    });
  }
}

/** Brings the state to what it is after a step. */
function go(target) {
  if (target < state.at) restart();
  while (state.at < target) {
    const step = steps[++state.at];
    write(step.others, state.at);
    write(step.writes, state.at);
    for (const [register, values] of step.results ?? []) {
      state.registers.set(register, { values: row(values), step: state.at });
    }
    if (code[step.pc].isBarrier) state.barriers++;
  }
}
