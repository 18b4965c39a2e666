// Runs before the first paint, so that a dark page never flashes light. `src/shell/theme.ts` holds the switch.
(() => {
  let choice = 'system';
  try {
    choice = localStorage.getItem('roadstead.theme') || 'system';
  } catch {
    // Storage may be blocked: the system's choice stands.
  }
  const dark =
    choice === 'dark' || (choice === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
