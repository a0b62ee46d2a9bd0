// The files of a drop or of an input, folders walked to their ends, each with its path within what was chosen.
import type { NamedFile } from '../session';

/** Files that were chosen in an input; those of a folder carry their path. */
export const chosen = (files: Iterable<File>): NamedFile[] => [...files].map((file) => ({ name: file.webkitRelativePath || file.name, file }));

/** What was dropped. The entries must be taken before the event ends; the files may be read afterwards. */
export async function dropped(transfer: DataTransfer): Promise<NamedFile[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return chosen(transfer.files);
  const found: NamedFile[] = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry: FileSystemEntry, found: NamedFile[]): Promise<void> {
  if (isFile(entry)) {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    // Without the slash that every path begins with.
    found.push({ name: entry.fullPath.slice(1), file });
  } else if (isFolder(entry)) {
    const reader = entry.createReader();
    // It gives a hundred at a time, and nothing when there is no more.
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      for (const one of some) await walk(one, found);
    }
  }
}

const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile;
const isFolder = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory;
