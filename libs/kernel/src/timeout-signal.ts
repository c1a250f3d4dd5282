/**
 * A signal that aborts after so many milliseconds, by the reason of AbortSignal.timeout. Use it instead:
 * what AbortSignal.any makes of one of Node's own and is given to AbortSignal.any again, as happens when a
 * call passes its signal on, is never freed (Node 24), not even when the time is over.
 */
export function timeoutSignal(ms: number): AbortSignal {
  const controller = new AbortController();
  // The timer keeps the signal until then, and no process.
  setTimeout(() => controller.abort(timedOut()), ms).unref();
  return controller.signal;
}

function timedOut(): DOMException {
  return new DOMException("The operation was aborted due to timeout", "TimeoutError");
}
