// The hub that a test talks to: a real one named by the environment, or the mock.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { account, startMock } from './mock/hub.mjs';

const env = process.env;
export const isReal = Boolean(env.ROADSTEAD_URL);

/** `enroll` makes a fresh agent use an install token; null where no agent binary was given. */
export async function realWorld() {
  return {
    url: env.ROADSTEAD_URL.replace(/\/$/, ''),
    email: env.ROADSTEAD_EMAIL ?? account.email,
    password: env.ROADSTEAD_PASSWORD ?? account.password,
    code: env.ROADSTEAD_SETUP_CODE || null,
    enroll: env.ROADSTEAD_AGENT_BIN ? enrollRealAgent : null,
    close: async () => {
      for (const stop of stops) await stop();
    },
  };
}

export async function mockWorld(options = {}) {
  const mock = await startMock({ servers: 0, needsSetup: true, signedIn: false, ...options });
  return {
    mock,
    url: mock.url,
    email: account.email,
    password: account.password,
    code: account.code,
    enroll: async () => void mock.enroll(),
    close: () => mock.close(),
  };
}

const stops = [];

async function enrollRealAgent({ token, hub_fingerprint }) {
  const state = mkdtempSync(join(tmpdir(), 'roadstead-browser-agent-'));
  const args = ['register', '--hub', env.ROADSTEAD_URL, '--token-file', '-', '--state-dir', state];
  if (hub_fingerprint) args.push('--hub-fingerprint', hub_fingerprint);
  await finished(spawn(env.ROADSTEAD_AGENT_BIN, args, { stdio: ['pipe', 'inherit', 'inherit'] }), token);
  const agent = spawn(env.ROADSTEAD_AGENT_BIN, ['run', '--state-dir', state], { stdio: ['ignore', 'ignore', 'inherit'] });
  stops.push(async () => {
    agent.kill('SIGTERM');
    if (agent.exitCode === null && agent.signalCode === null) await new Promise((resolve) => agent.once('exit', resolve));
    rmSync(state, { recursive: true, force: true });
  });
}

function finished(child, input) {
  child.stdin.end(`${input}\n`);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`the agent's register ended with ${code}`))));
  });
}
