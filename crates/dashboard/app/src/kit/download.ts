/** Gives the person a file with exactly this text, in UTF-8. */
export function saveFile(name: string, text: string, type = 'application/json'): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // The browser has taken it over once the click is handled.
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
