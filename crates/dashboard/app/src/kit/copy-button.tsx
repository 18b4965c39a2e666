import { Check, Copy } from 'lucide-react';
import { useEffect, useState } from 'react';
import { t } from '@/i18n';
import { Button, type ButtonTone, IconButton } from './button';

/** Writes to the clipboard; on plain http away from loopback, where browsers offer none, by a selected textarea. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.readOnly = true;
    area.style.position = 'fixed';
    area.style.opacity = '0';
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    return copied;
  }
}

function useCopied(text: string | (() => Promise<string>)) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1_600);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => setCopied(await copyText(typeof text === 'string' ? text : await text()));
  return { copied, copy };
}

interface CopyProps {
  text: string | (() => Promise<string>);
  label?: string;
  tone?: ButtonTone;
  size?: 'sm' | 'md';
}

export function CopyButton({ text, label = t('common.copy'), tone = 'secondary', size = 'md' }: CopyProps) {
  const { copied, copy } = useCopied(text);
  return (
    <Button tone={tone} size={size} icon={copied ? Check : Copy} onClick={copy}>
      <span aria-live="polite">{copied ? t('common.copied') : label}</span>
    </Button>
  );
}

export function CopyIcon({ text, label = t('common.copy') }: CopyProps) {
  const { copied, copy } = useCopied(text);
  return (
    <IconButton icon={copied ? Check : Copy} label={copied ? t('common.copied') : label} onClick={copy} />
  );
}
