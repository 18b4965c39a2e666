import { useEffect } from 'react';
import { usePreference } from '@/kit/preference';

export type ThemeChoice = 'light' | 'dark' | 'system';

const dark = window.matchMedia('(prefers-color-scheme: dark)');

function draw(choice: ThemeChoice): void {
  const isDark = choice === 'dark' || (choice === 'system' && dark.matches);
  document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
  document.querySelector('meta[name="theme-color"]')?.setAttribute('content', isDark ? '#0e1116' : '#fbfcfd');
}

/** The choice and its switch. `public/theme.js` draws it before the first paint; this follows later changes. */
export function useTheme(): [ThemeChoice, (choice: ThemeChoice) => void] {
  const [stored, store] = usePreference('theme', 'system');
  const choice: ThemeChoice = stored === 'light' || stored === 'dark' ? stored : 'system';
  useEffect(() => {
    draw(choice);
    const follow = () => draw(choice);
    dark.addEventListener('change', follow);
    return () => dark.removeEventListener('change', follow);
  }, [choice]);
  return [choice, store];
}
