// Failures as the page raises, passes on and shows them: a code, what happened, what to do.
import type { Failure } from './protocol';

/** A typed failure, from a worker or from the page itself. */
export class Failed extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

/** The request was cancelled. */
export class Cancelled extends Error {}

/** Anything thrown as a failure; what nobody foresaw gets a code too. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failed) return error.failure;
  return {
    code: 'PAGE-FAULT',
    message: 'The page met an internal fault.',
    nextStep: 'Reload the page; if it happens again, please report it.',
  };
}
