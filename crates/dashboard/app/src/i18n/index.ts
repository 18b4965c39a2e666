import i18next from 'i18next';
import { en } from './en';
import type { LazyWords } from './lazy';

declare module 'i18next' {
  interface CustomTypeOptions {
    resources: { translation: typeof en & LazyWords };
  }
}

// English is in the shell; another language is one more file and an entry here.
void i18next.init({
  lng: 'en',
  fallbackLng: 'en',
  resources: { en: { translation: en } },
  initAsync: false,
  // React escapes what it renders.
  interpolation: { escapeValue: false },
});

export const t = i18next.t;

/** Words of pages that few open: they come with the page, not with the shell. */
export function addWords(words: Record<string, unknown>): void {
  i18next.addResourceBundle('en', 'translation', words, true, true);
}
