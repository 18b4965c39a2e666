/** Lets the browser fetch and store a file of this origin; its name is in the answer. */
export function saveFrom(url: string): void {
  follow(url, '');
}

/** Gives the person a file with exactly this text, in UTF-8. */
export function saveFile(name: string, text: string, type = 'application/json'): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  follow(url, name);
  // The browser has taken it over once the click is handled.
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}

function follow(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
