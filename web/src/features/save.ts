// Hands a file to the browser's downloads. Nothing is sent anywhere: the address is one of this page's own memory.

export function saveFile(name: string, type: string, bytes: ArrayBuffer): void {
  const address = URL.createObjectURL(new Blob([bytes], { type }));
  const link = Object.assign(document.createElement('a'), { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  // The download has begun by then.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
