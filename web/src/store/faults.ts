// What can go wrong while a model is brought into the store: one failure per cause, each with its next step.
import { Failed } from '../failure';

const failed = (code: string, message: string, nextStep: string): Failed => new Failed({ code, message, nextStep });

/** The connection broke; worth trying again from where it stopped. */
export class Interrupted extends Error {}

/** The user pressed "Pause". */
export class Paused extends Error {}

export const faults = {
  busy: () =>
    failed(
      'STORE-BUSY',
      'Another tab of this page is changing the stored models.',
      'Wait until it has finished, or pause it there, then try again.',
    ),
  inUse: () =>
    failed('STORE-IN-USE', 'This model is in use in another tab of this page.', 'Choose another model there, or close that tab, then delete it.'),
  network: () =>
    failed('STORE-NETWORK', 'The connection to the server of this page broke several times.', 'What has arrived is kept: press "Resume" when the connection is back.'),
  missing: (file: string) =>
    failed('STORE-MISSING', `The server of this page does not have the model's file "${file}".`, 'Ask whoever runs the page to publish the complete model folder.'),
  notTheFile: (file: string) =>
    failed(
      'STORE-NOT-THE-FILE',
      `The server answered with something else than the model's file "${file}", such as a login page.`,
      'Reload the page, sign in if your network asks for it, then press "Resume".',
    ),
  hash: (file: string) =>
    failed(
      'STORE-HASH',
      `The file "${file}" does not have the SHA-256 that the model's manifest gives; it was not kept.`,
      'The copy it came from is damaged or was changed: fetch or convert the model again.',
    ),
  quota: (needed: string, free: string) =>
    failed(
      'STORE-QUOTA',
      `The model needs ${needed} more, and the browser gives this page ${free}.`,
      'Delete a stored model, free space on the disk, or choose a model of a smaller precision. Nothing was fetched.',
    ),
  full: () =>
    failed('STORE-FULL', 'The browser has no more space for this page.', 'Free space on the disk or delete a stored model, then press "Resume": what has arrived is kept.'),
  incomplete: (files: string[]) =>
    failed(
      'STORE-FILES',
      `The files chosen are not a complete model: ${files.slice(0, 3).join(', ')}${files.length > 3 ? ' and more' : ''} missing.`,
      'Choose the whole folder that "medsam3 convert" wrote (manifest.json and every file beside it).',
    ),
  unreadable: (file: string) =>
    failed('STORE-READ', `The file "${file}" could not be read to its end.`, 'Check that it is still where it was, then choose the folder again.'),
  gone: () => failed('STORE-GONE', 'This model is no longer stored.', 'Download or import it again.'),
  noStorage: () =>
    failed('STORE-UNAVAILABLE', 'This browser gives the page no storage of its own.', 'Leave private browsing, or use a current version of Chrome, Edge, Firefox or Safari.'),
};
