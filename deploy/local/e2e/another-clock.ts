// Loaded before anything else of a process (node --import): its wall clock is CLOCK_SKEW_MS ahead of this
// machine's, and runs CLOCK_RATE times as fast; -1 is backwards. Time that only measures is left alone.
// oxlint-disable-next-line node/no-process-env -- there are no settings yet
const { CLOCK_SKEW_MS = "0", CLOCK_RATE = "1" } = process.env;
const RealDate = Date;
const startedMs = RealDate.now();
const nowMs = () =>
  Math.floor(startedMs + Number(CLOCK_SKEW_MS) + (RealDate.now() - startedMs) * Number(CLOCK_RATE));

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, self) =>
    Reflect.construct(target, args.length === 0 ? [nowMs()] : args, self === Date ? target : self),
  apply: () => new RealDate(nowMs()).toString(),
  get: (target, key) => (key === "now" ? nowMs : Reflect.get(target, key)),
});
