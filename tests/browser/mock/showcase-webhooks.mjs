// Webhooks and deliveries as they could be, for tests that look at them.
export function showWebhooks(mock) {
  const { webhooks } = mock;
  const chat = webhooks.add({ name: 'Chat of the night shift', url: 'https://hooks.chat.example.net/services/T00/B00', events: ['server.*', 'job.end', 'security.event'] }, { missed: 1_204 });
  const tickets = webhooks.add({ name: 'Tickets', url: 'https://tickets.example.org/in/roadstead', events: ['*'] }, { enabled: false, disabled_reason: 'for three days nothing arrived; the last answer was 410' });
  webhooks.add({ name: 'Script on the build machine', url: 'http://10.0.4.17:9000/', events: ['auth.login', 'moon.rise'], allow_private: true }, { enabled: false });
  webhooks.deliver(null, 'password_changed', 'delivered', [[null, null]], { subject: 'Your password was changed' });
  webhooks.deliver(chat, 'server.enroll', 'delivered', [[204, null]], { subject: 'atlas-web-1' });
  const failed = webhooks.deliver(tickets, 'member.join', 'failed', [
    [null, 'the connection was refused'],
    [503, null, '<html><body>Service temporarily unavailable</body></html>'],
    [410, null, '{"error":"this integration was removed"}'],
  ], { subject: 'Grace Brewster' });
  const waiting = webhooks.deliver(chat, 'job.end', 'waiting', [[502, null, 'Bad gateway']], { subject: 'apt-get update' });
  return { chat, tickets, failed, waiting };
}
