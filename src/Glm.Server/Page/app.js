// The page of glm serve. Text of people and models only ever becomes textContent, never HTML.
import { words } from './words.js';

const $ = id => document.getElementById(id);
const element = (tag, className, text) => Object.assign(document.createElement(tag), { className: className ?? '', textContent: text ?? '' });
const remembered = name => { try { return localStorage.getItem(`glm.${name}`); } catch { return null; } };
const remember = (name, value) => { try { localStorage.setItem(`glm.${name}`, value); } catch { /* private windows keep nothing */ } };

let language = remembered('language') ?? (navigator.language.startsWith('zh') ? 'zh' : 'en');
let models = [], key = '', running = null, view = null;
const messages = [];

function word(name, ...values) {
  return (words[language][name] ?? name).replace(/\{(\d)\}/g, (_, i) => values[i]);
}

function translate() {
  document.documentElement.lang = language;
  for (const e of document.querySelectorAll('[data-word]')) e.textContent = word(e.dataset.word);
  for (const e of document.querySelectorAll('[data-placeholder]')) e.placeholder = word(e.dataset.placeholder);
  for (const e of document.querySelectorAll('[data-label]')) e.setAttribute('aria-label', word(e.dataset.label));
  $('language').textContent = language === 'en' ? '中文' : 'English';
  $('language').lang = language === 'en' ? 'zh' : 'en';
  const samples = Object.values(words);
  for (const [id, name] of [['blanks', 'sample'], ['prompt', 'sampleText'], ['pieces', 'sampleText']])
    if ($(id).value === '' || samples.some(w => w[name] === $(id).value)) $(id).value = word(name);
  showMessages();
  showFacts();
  setRunning(running);
}

// Requests

function headers() {
  return key ? { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` } : { 'Content-Type': 'application/json' };
}

async function ask(path, body, signal) {
  const response = await fetch(path, { method: body ? 'POST' : 'GET', headers: headers(), body: body && JSON.stringify({ model: $('model').value, ...body }), signal });
  if (!response.ok) throw new Error((await response.json().catch(() => null))?.error?.message ?? response.statusText);
  return response;
}

// Server-sent events of a request, one by one.
async function* events(path, body, signal) {
  const reader = (await ask(path, { ...body, stream: true, stream_options: { include_usage: true } }, signal)).body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n\n');
    rest = lines.pop();
    for (const line of lines) {
      const data = line.slice('data: '.length);
      if (data === '[DONE]') return;
      const event = JSON.parse(data);
      if (event.error) throw new Error(event.error.message);
      yield event;
    }
  }
}

// Runs something that a second press of the same button stops. Another button's work takes its place.
async function run(button, work) {
  const before = running;
  if (before) {
    before.controller.abort();
    await before.done;
    if (before.button === button || running) return;
  }
  $('notice').hidden = true;
  const controller = new AbortController();
  setRunning({ controller, button, done: finish(work, controller.signal) });
  await running.done;
  setRunning(null);
  loadModels(false);
}

async function finish(work, signal) {
  try {
    await work(signal);
  } catch (error) {
    if (error.name === 'AbortError') return;
    $('notice').textContent = error instanceof TypeError ? word('unreachable') : word('failed', error.message);
    $('notice').hidden = false;
  }
}

function setRunning(what) {
  for (const button of document.querySelectorAll('button.main')) button.textContent = word(what?.button === button ? 'stop' : button.dataset.word);
  running = what;
}

function sampling() {
  const seed = $('seed').value;
  return { temperature: Number($('temperature').value), top_p: Number($('top-p').value), ...(seed === '' ? {} : { seed: Number(seed) }) };
}

class Clock {
  constructor() { this.start = performance.now(); }
  token() { this.first ??= performance.now(); }
  show(count) {
    if (this.first) $('speed').textContent = word('speed', count, (count / Math.max(1e-3, (performance.now() - this.start) / 1000)).toFixed(1), ((this.first - this.start) / 1000).toFixed(2));
  }
}

// Chat

// Whoever reads the end of the chat stays there while it grows.
function followEnd(change) {
  const page = document.documentElement, atEnd = scrollY + innerHeight >= page.scrollHeight - 48;
  change();
  if (atEnd) scrollTo(0, page.scrollHeight);
}

function showMessages() {
  $('messages').ariaBusy = messages.some(message => message.busy);
  $('messages').replaceChildren(...messages.map(message => {
    const item = element('li', message.role);
    item.append(element('b', '', word(message.role === 'user' ? 'you' : 'it')), element('span', message.busy ? 'busy' : '', message.content));
    return item;
  }));
  $('regenerate').disabled = messages.length < 2;
}

async function answer(button) {
  await run(button, async signal => {
    const sent = messages.map(({ role, content }) => ({ role, content }));
    const reply = { role: 'assistant', content: '', busy: true };
    messages.push(reply);
    showMessages();
    scrollTo(0, document.documentElement.scrollHeight);
    const shown = $('messages').lastElementChild.lastElementChild, clock = new Clock();
    try {
      for await (const event of events('v1/chat/completions', { messages: sent, ...sampling() }, signal)) {
        const piece = event.choices[0]?.delta.content;
        if (piece) {
          clock.token();
          followEnd(() => shown.textContent = reply.content += piece);
        }
        if (event.usage) clock.show(event.usage.completion_tokens);
      }
    } finally {
      reply.busy = false;
      if (reply.content === '') messages.pop();
      showMessages();
    }
  });
}

$('chat-form').addEventListener('submit', async event => {
  event.preventDefault();
  const text = $('say').value.trim(), button = event.target.querySelector('.main');
  if (running?.button === button) return run(button);
  if (text === '') return;
  messages.push({ role: 'user', content: text });
  $('say').value = '';
  await answer(button);
});
$('say').addEventListener('keydown', event => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('chat-form').requestSubmit();
});
$('regenerate').addEventListener('click', () => {
  if (running || messages.length < 2) return;
  if (messages.at(-1).role === 'assistant') messages.pop();
  answer($('chat-form').querySelector('.main'));
});
$('clear').addEventListener('click', () => {
  running?.controller.abort();
  messages.length = 0;
  showMessages();
  $('say').focus();
});

// Blanks

async function fill(text) {
  await run($('fill-form').querySelector('.main'), async signal => {
    const { temperature, top_p, ...seed } = sampling(), clock = new Clock();
    const body = { text, alternatives: Number($('alternatives').value), max_tokens: Number($('fill-tokens').value), temperature: 0, ...seed };
    const result = await (await ask('v1/fill', body, signal)).json();
    clock.token();
    clock.show(result.usage.completion_tokens);
    showFilled(text, result);
  });
}

// What stands between the blanks, as it is in the result: vocabularies drop the space before a blank, and what fills it brings its own.
function partsOf(text, result) {
  const parts = text.split(/\[[gs]?MASK\]/);
  // A text without a blank is continued at its end.
  if (parts.length === 1) parts.push('');
  let at = 0;
  return parts.map((part, i) => {
    const fill = result.blanks[i]?.text ?? '', kept = [part, part.trimEnd()].find(kept => result.text.startsWith(kept + fill, at)) ?? part;
    at += kept.length + fill.length;
    return kept;
  });
}

function showFilled(text, result) {
  const parts = partsOf(text, result), line = element('p', 'result');
  parts.forEach((part, i) => {
    line.append(part);
    if (i < parts.length - 1 && i < result.blanks.length) line.append(element('mark', '', result.blanks[i].text));
  });
  const choices = result.blanks.map((blank, i) => {
    const set = element('fieldset');
    set.append(element('legend', '', word('blank', i + 1)));
    for (const other of blank.alternatives ?? []) {
      const button = element('button'), meter = element('meter');
      button.type = 'button';
      button.setAttribute('aria-pressed', other.text === blank.text);
      meter.value = other.probability ?? 0;
      button.append(element('span', '', other.text.trim() || word('nothing')), meter, element('span', 'number', other.finish_reason === 'length' ? word('cut') : percent(other.probability ?? 0)));
      button.addEventListener('click', () => {
        const before = parts.slice(0, i + 1).map((part, j) => part + (j < i ? result.blanks[j].text : other.text)).join('');
        const masks = text.match(/\[[gs]?MASK\]/g) ?? [];
        $('blanks').value = before + parts.slice(i + 1).map((part, j) => part + (masks[i + 1 + j] ?? '')).join('');
        if (/MASK\]/.test($('blanks').value)) fill($('blanks').value);
        else $('filled').replaceChildren(element('p', 'result', $('blanks').value));
      });
      set.append(button);
    }
    return set;
  });
  $('filled').replaceChildren(line, ...choices.filter(set => set.children.length > 1));
}

$('fill-form').addEventListener('submit', event => {
  event.preventDefault();
  fill($('blanks').value);
});
$('insert').addEventListener('click', () => {
  const box = $('blanks');
  box.setRangeText('[MASK]', box.selectionStart, box.selectionEnd, 'end');
  box.focus();
});

// Tokens with their probabilities

const percent = p => p >= 0.0995 ? `${(100 * p).toFixed(0)} %` : p >= 0.001 ? `${(100 * p).toFixed(1)} %` : '< 0.1 %';

function tokenElement(text, logprob, top, id) {
  const p = logprob == null ? null : Math.exp(logprob), level = p == null ? '' : ` p${Math.min(4, Math.floor(p >= 0.5 ? 4 : p >= 0.2 ? 3 : p >= 0.05 ? 2 : p >= 0.01 ? 1 : 0))}`;
  const token = element('span', `token${level}`, text.replace(/\n/g, '⏎') || '␣');
  if (id != null) token.append(element('sub', '', id));
  const others = [...(p == null ? [] : [`${word('probability')} ${percent(p)}`]), ...Object.entries(top ?? {}).map(([other, value]) => `${percent(Math.exp(value)).padStart(7)}  ${other}`)];
  if (others.length > 0) {
    token.tabIndex = 0;
    // The box opens to the side where there is room.
    for (const event of ['pointerenter', 'focus']) token.addEventListener(event, () => token.classList.toggle('right', token.offsetLeft > token.parentElement.clientWidth / 2));
    token.append(element('span', 'others', others.join('\n')));
  }
  return token;
}

$('write-form').addEventListener('submit', event => {
  event.preventDefault();
  run(event.target.querySelector('.main'), async signal => {
    const prompt = $('prompt').value, clock = new Clock();
    $('written').replaceChildren(element('span', 'token prompt', prompt));
    for await (const part of events('v1/completions', { prompt, max_tokens: Number($('write-tokens').value), logprobs: 5, ...sampling() }, signal)) {
      const told = part.choices[0]?.logprobs;
      told?.tokens.forEach((text, i) => {
        clock.token();
        $('written').append(tokenElement(text, told.token_logprobs[i], told.top_logprobs[i]), ...(text.includes('\n') ? [document.createElement('br')] : []));
      });
      if (part.usage) clock.show(part.usage.completion_tokens);
    }
  });
});

$('tokens-form').addEventListener('submit', event => {
  event.preventDefault();
  run(event.target.querySelector('.main'), async signal => {
    const { ids } = await (await ask('tokenize', { text: $('pieces').value }, signal)).json();
    $('summary').textContent = word('counted', ids.length);
    $('shown').replaceChildren();
    if (ids.length === 0) return;
    const scored = await (await ask('v1/completions', { prompt: ids, echo: true, logprobs: 5, max_tokens: 0 }, signal)).json();
    const told = scored.choices[0].logprobs, known = told.token_logprobs.filter(value => value != null);
    $('shown').replaceChildren(...told.tokens.map((text, i) => tokenElement(text, told.token_logprobs[i], told.top_logprobs[i], ids[i])));
    $('summary').textContent = word('summary', ids.length, (-known.reduce((sum, value) => sum + value, 0) / Math.LN2 / Math.max(1, known.length)).toFixed(2));
  });
});

// Models and views

async function loadModels(first) {
  try {
    models = (await (await ask('v1/models')).json()).data;
  } catch (error) {
    if (!first) return;
    $('notice').textContent = word('failed', error.message);
    $('notice').hidden = false;
    return select('info');
  }
  const chosen = $('model').value || remembered('model');
  $('model').replaceChildren(...models.map(model => element('option', '', model.id)));
  if (models.some(model => model.id === chosen)) $('model').value = chosen;
  showFacts();
  if (first) select(remembered('view') ?? (facts()?.chat ? 'chat' : 'fill'));
}

const facts = () => models.find(model => model.id === $('model').value)?.glm;

function showFacts() {
  const glm = facts();
  if (!glm) return;
  const rows = ['architecture', 'parameters', 'memory', 'max_length', 'vocabulary', 'tokenizer', 'load_seconds', 'running', 'waiting'].map(name => [word(name), glm[name]]);
  rows.push([word('pages'), `${glm.kv_pages_used} / ${glm.kv_pages}`], [word('generated'), glm.new_tokens], [word('throughput'), (glm.new_tokens / Math.max(1e-3, glm.busy_seconds)).toFixed(1)]);
  $('facts').replaceChildren(...rows.map(([name, value]) => {
    const row = element('tr');
    row.append(element('th', '', name), element('td', '', typeof value === 'number' ? value.toLocaleString(language) : value));
    row.firstChild.scope = 'row';
    return row;
  }));
  $('no-chat').hidden = glm.chat;
  $('chat-form').hidden = !glm.chat;
  document.querySelector('#fill .hint').textContent = word(glm.fill ? 'fillHint' : 'noFill');
  $('fill-form').hidden = !glm.fill;
}

function select(name) {
  const tabs = [...document.querySelectorAll('[role=tab]')];
  view = tabs.some(tab => tab.getAttribute('aria-controls') === name) ? name : 'fill';
  for (const tab of tabs) {
    const chosen = tab.getAttribute('aria-controls') === view;
    tab.setAttribute('aria-selected', chosen);
    tab.tabIndex = chosen ? 0 : -1;
    $(tab.getAttribute('aria-controls')).hidden = !chosen;
  }
  $('settings').hidden = view === 'info' || view === 'tokens';
  remember('view', view);
  if (view === 'info') loadModels(false);
}

$('tabs').addEventListener('click', event => event.target.role === 'tab' && select(event.target.getAttribute('aria-controls')));
$('tabs').addEventListener('keydown', event => {
  const tabs = [...$('tabs').children], at = tabs.findIndex(tab => tab.tabIndex === 0);
  const next = tabs.at({ ArrowRight: (at + 1) % tabs.length, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key] ?? at);
  if (next === tabs[at]) return;
  event.preventDefault();
  select(next.getAttribute('aria-controls'));
  next.focus();
});
$('model').addEventListener('change', () => {
  remember('model', $('model').value);
  showFacts();
});
$('language').addEventListener('click', () => {
  language = language === 'en' ? 'zh' : 'en';
  remember('language', language);
  translate();
});
$('key-form').addEventListener('submit', event => {
  event.preventDefault();
  key = $('key').value.trim(); // kept in memory alone
  $('notice').hidden = true;
  loadModels(true);
});

translate();
loadModels(true);
