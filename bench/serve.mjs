#!/usr/bin/env node
// Load on a running `glm serve`: node bench/serve.mjs [speed|guesses|soak] [options]
//   speed  tokens per second of one stream and of many, and the time to the first token of a short request alone and under load
//   guesses  what share of the tokens that --draft-tokens or --draft-model guess comes true, and tokens per second of one stream, of new text and of text that repeats
//   soak   many clients with random lengths, disconnects, malformed and oversized bodies, slow reading; every answer is compared with the one it has to be
//          (for this the server runs with --kv-cache fp32: rounded keys and values let draws differ between batches, by 0.0005 in a logarithm)
// Options: --url http://127.0.0.1:8080 --model NAME --streams 16 --tokens 64 --prompt 64 --clients 64 --seconds 600 --key KEY
import http from 'node:http';

const args = process.argv.slice(2), mode = args[0] && !args[0].startsWith('-') ? args.shift() : 'speed';
const option = (name, standard) => args.includes(`--${name}`) ? args[args.indexOf(`--${name}`) + 1] : standard;
const url = option('url', 'http://127.0.0.1:8080'), model = option('model'), key = option('key');
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });

// Sends a request; onText sees the text of a stream as it comes. {status, json or text}
function post(path, body, { onText, abortAfter, slow, raw } = {}) {
  return new Promise((resolve, reject) => {
    const data = raw ?? JSON.stringify(model ? { model, ...body } : body);
    const request = http.request(url + path, { method: 'POST', agent, headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(data), ...(key ? { Authorization: `Bearer ${key}` } : {}) } }, response => {
      let all = '';
      response.setEncoding('utf8');
      response.on('data', piece => {
        all += piece;
        onText?.(piece);
        if (slow) {
          response.pause();
          setTimeout(() => response.resume(), 50);
        }
      });
      response.on('end', () => resolve({ status: response.statusCode, text: all }));
      response.on('error', error => abortAfter ? resolve({ status: 0, text: '' }) : reject(error));
    });
    request.on('error', error => abortAfter ? resolve({ status: 0, text: '' }) : reject(error));
    request.end(data);
    if (abortAfter) {
      const timer = setTimeout(() => request.destroy(), abortAfter);
      request.on('close', () => clearTimeout(timer));
    }
  });
}

// A prompt of so many ids; what follows may not end, so that all streams have the same length.
const prompt = (length, n) => Array.from({ length }, (_, i) => 300 + (i * 7919 + n * 13) % 200);

async function stream(n, tokens, length) {
  const start = performance.now();
  let first = null, count = 0;
  const answer = await post('/v1/completions', { prompt: prompt(length, n), max_tokens: tokens, temperature: 0, stream: true, logprobs: 0, stream_options: { include_usage: true } }, {
    onText: () => { first ??= performance.now() - start; },
  });
  if (answer.status !== 200) throw new Error(answer.text);
  count = JSON.parse(answer.text.split('\n\n').at(-3).slice(6)).usage.completion_tokens;
  return { first, count, seconds: (performance.now() - start) / 1000 };
}

const rate = streams => streams.reduce((sum, s) => sum + s.count, 0);
const median = values => values.sort((a, b) => a - b)[values.length >> 1];

async function speed() {
  const streams = +option('streams', 16), tokens = +option('tokens', 64), length = +option('prompt', 64);
  await stream(1, 8, length);
  const timed = async n => {
    const start = performance.now(), all = await Promise.all(Array.from({ length: n }, (_, i) => stream(10 + i, tokens, length)));
    // From the first token of the last stream on, all are generating.
    const reading = Math.max(...all.map(s => s.first));
    return { total_tok_s: rate(all) / ((performance.now() - start) / 1000), decode_tok_s: rate(all) / ((performance.now() - start - reading) / 1000) };
  };
  const one = await timed(1), many = await timed(streams);
  const idle = [], loaded = [];
  for (let i = 0; i < 5; i++) idle.push((await stream(100 + i, 1, 8)).first);
  const background = Array.from({ length: streams - 1 }, (_, i) => stream(200 + i, 4 * tokens, length));
  await new Promise(resolve => setTimeout(resolve, 3000));
  for (let i = 0; i < 5; i++) loaded.push((await stream(300 + i, 1, 8)).first);
  await Promise.all(background);
  const round = x => Math.round(100 * x) / 100;
  console.log(JSON.stringify({
    streams, tokens, prompt: length, one_tok_s: round(one.decode_tok_s), many_tok_s: round(many.decode_tok_s), ratio: round(many.decode_tok_s / one.decode_tok_s), one_total_tok_s: round(one.total_tok_s), many_total_tok_s: round(many.total_tok_s),
    first_token_idle_ms: round(median(idle)), first_token_loaded_ms: round(median(loaded)), first_token_ratio: round(median(loaded) / median(idle)),
  }));
}

const get = path => new Promise((resolve, reject) => http.get(url + path, { headers: key ? { Authorization: `Bearer ${key}` } : {} }, response => {
  let all = '';
  response.on('data', piece => { all += piece; });
  response.on('end', () => resolve(all));
}).on('error', reject));

async function guesses() {
  const tokens = +option('tokens', 128), lines = 'Name: Anna, city: Berlin, age: 30.\nName: Paul, city: Paris, age: 41.\n';
  const texts = {
    new: ['The old house at the end of the street', 'In the middle of the night', 'She opened the letter and', 'It is a truth universally acknowledged', 'When the rain had stopped', 'The king and his three sons', 'On the second day of the journey', 'There was once a man who'],
    repeating: [lines.repeat(4), lines.repeat(5), lines.repeat(6)],
  };
  const counted = async () => {
    const metrics = await get('/metrics');
    return ['drafted', 'accepted'].map(name => metrics.split('\n').filter(line => line.startsWith(`glm_tokens_${name}_total`)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0));
  };
  for (const temperature of [0, 0.8])
    for (const [kind, prompts] of Object.entries(texts)) {
      const [drafted, accepted] = await counted(), start = performance.now();
      let made = 0;
      for (const [i, prompt] of prompts.entries()) made += JSON.parse((await post('/v1/completions', { prompt, max_tokens: tokens, temperature, seed: i })).text).usage.completion_tokens;
      const seconds = (performance.now() - start) / 1000, [after, right] = await counted();
      console.log(JSON.stringify({ text: kind, temperature, tokens: made, tok_s: Math.round(10 * made / seconds) / 10, guessed: after - drafted, came_true: Math.round(1000 * (right - accepted) / Math.max(1, after - drafted)) / 1000 }));
    }
}

async function soak() {
  const clients = +option('clients', 64), seen = {}, mixed = [];
  // Each question has one right answer, which is asked for before anybody else is there.
  const questions = Array.from({ length: 24 }, (_, n) => ({ prompt: prompt(3 + 17 * n % 150, n), max_tokens: 1 + 7 * n % 40, temperature: 0.9, seed: n }));
  const textOf = answer => JSON.parse(answer.text).choices[0].text;
  const right = [];
  for (const question of questions) right.push(textOf(await post('/v1/completions', question)));
  const until = Date.now() + 1000 * +option('seconds', 600);
  const count = what => { seen[what] = (seen[what] ?? 0) + 1; };
  const random = n => Math.floor(Math.random() * n);
  const expect = (answer, ...statuses) => {
    if (!statuses.includes(answer.status)) mixed.push(`${answer.status} in place of ${statuses}: ${answer.text.slice(0, 200)}`);
  };
  const client = async () => {
    while (Date.now() < until) {
      const n = random(questions.length);
      switch (random(8)) {
        case 0: count('left'); await post('/v1/completions', { ...questions[n], max_tokens: 400, stream: true }, { abortAfter: 5 + random(500) }); break;
        case 1: count('malformed'); expect(await post('/v1/completions', null, { raw: '{"prompt": "a", ' }), 400); break;
        case 2: count('oversized'); expect(await post('/tokenize', { text: 'a'.repeat(1200000) }, { abortAfter: 20000 }), 413, 0); break;
        case 3: {
          count('slow');
          const answer = await post('/v1/completions', { ...questions[n], stream: true }, { slow: true });
          expect(answer, 200, 429);
          if (answer.status === 200) {
            const text = answer.text.split('\n\n').filter(line => line.startsWith('data: {')).map(line => JSON.parse(line.slice(6)).choices[0]?.text ?? '').join('');
            if (text !== right[n]) mixed.push(`stream ${n}: ${text} in place of ${right[n]}`);
          }
          break;
        }
        case 4: count('stopped'); expect(await post('/v1/completions', { ...questions[n], stop: ['e', '的'] }), 200, 429); break;
        default: {
          count('asked');
          const answer = await post('/v1/completions', questions[n]);
          expect(answer, 200, 429);
          if (answer.status === 200 && textOf(answer) !== right[n]) mixed.push(`${n}: ${textOf(answer)} in place of ${right[n]}`);
        }
      }
    }
  };
  const memory = async () => {
    const { data } = JSON.parse(await get('/v1/models'));
    console.error(`${new Date().toISOString()} ${JSON.stringify(seen)} wrong: ${mixed.length}; pages ${data[0].glm.kv_pages_used}, waiting ${data[0].glm.waiting}`);
  };
  const timer = setInterval(() => memory().catch(() => {}), 15000);
  await Promise.all(Array.from({ length: clients }, client));
  clearInterval(timer);
  console.log(JSON.stringify({ clients, requests: seen, wrong: mixed.length, examples: mixed.slice(0, 5) }));
  process.exitCode = mixed.length > 0 ? 1 : 0;
}

await { speed, guesses, soak }[mode]();
agent.destroy();
