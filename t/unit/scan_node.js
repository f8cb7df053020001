// SPDX-License-Identifier: Apache-2.0
//
// Documents, JSON and nearly so, and what JSON.parse thinks of them, for
// scan_node.c. The same in every run. A record is a line
//
//	LENGTH VERDICT FLAGS MEANING
//
// LENGTH bytes of the document, and MEANING bytes. VERDICT is 1 if it is JSON.
// FLAGS are those of scan.h if they are known, else -1. MEANING is the length
// of what the document, a string, means, or -1 if it is none.
'use strict';

const DOCUMENTS = 20000;
const decoder = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});

let seed = 20200101;
function random(n) { // mulberry32
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
}
const pick = list => list[random(list.length)];
const some = make => Array.from({length: random(5)}, make);
const space = () => (random(4) ? '' : pick([' ', '\n', '\t', '\r', ' \n ']));

const hex = n => n.toString(16).padStart(4, '0');
const character = () => pick([
  () => pick(['a', 'Z', '0', ' ', '/', '{', ']', ',', ':', '\x7f']),
  () => pick(['\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t']),
  () => '\\u' + hex(random(0x10000)),
  () => '\\u' + hex(0xd800 + random(0x800)),
  () => '\\uD83D\\uDE0' + random(10),
  () => pick(['\\u0000', '\\u00e9', '\\u20AC']),
  () => String.fromCodePoint(0x80 + random(0xd780)),
  () => String.fromCodePoint(0xe000 + random(0x102000)),
  () => 'plain text of some length, '.slice(random(20)),
])();
const string = () => '"' + some(character).join('') + '"';
const digits = () => some(() => random(10)).join('') || '7';
const number = () => (random(3) ? '' : '-') +
  pick(['0', String(1 + random(9)), 1 + random(9) + digits(),
    '17976931348623' + pick(['157', '158', '159']) + digits()]) +
  (random(2) ? '' : '.' + digits()) +
  (random(2) ? '' : pick(['e', 'E']) + pick(['', '+', '-']) +
    pick([digits().slice(0, 2), 280 + random(40), '00' + random(400)]));
let keys = 0;
const key = () => '"' + some(character).join('') + keys++ + '"';
const member = depth => space() + key() + space() + ':' + value(depth + 1);
function value(depth) {
  const kind = random(depth > 6 ? 5 : 8);
  const text = kind < 2 ? string() : kind < 4 ? number()
    : kind < 5 ? pick(['null', 'true', 'false'])
    : kind < 6 ? '{' + (some(() => member(depth)).join(',') || space()) + '}'
    : '[' + (some(() => value(depth + 1)).join(',') || space()) + ']';
  return space() + text + space();
}

// A byte less, more or other, once or a few times.
function spoil(bytes) {
  const list = [...bytes];
  for (let i = random(3); i >= 0; i--) {
    const at = random(list.length + 1);
    const byte = random(3) ? pick([...Buffer.from('"\\{}[],:-+.eE01utn/ \n')])
      : random(256);
    list.splice(at, random(2), ...(random(3) ? [byte] : []));
  }
  return Buffer.from(list);
}

function flags(parsed) {
  if (typeof parsed === 'number') return Number.isFinite(parsed) ? 0 : 4;
  if (typeof parsed === 'string')
    return (parsed.includes('\0') ? 1 : 0) | (/\p{Cs}/u.test(parsed) ? 2 : 0);
  if (parsed === null || typeof parsed !== 'object') return 0;
  return Object.entries(parsed).reduce((all, [key, inner]) =>
    all | flags(key) | flags(inner), 0);
}

function judge(bytes, known) {
  let parsed;
  try {
    parsed = JSON.parse(decoder.decode(bytes));
  } catch {
    return ['0 -1 -1'];
  }
  const found = known ? flags(parsed) : -1;
  if (typeof parsed !== 'string') return [`1 ${found} -1`];
  // Encoding makes U+FFFD of lone surrogates by itself.
  const meaning = Buffer.from(parsed.replaceAll('\0', '\ufffd'));
  return [`1 ${found} ${meaning.length}`, meaning];
}

for (let i = 0; i < DOCUMENTS; i++) {
  let bytes = Buffer.from(random(4) ? value(0) : string());
  const spoilt = i % 2 === 1;
  if (spoilt) bytes = spoil(bytes);
  const [verdict, meaning] = judge(bytes, !spoilt);
  process.stdout.write(Buffer.concat([
    Buffer.from(`${bytes.length} ${verdict}\n`), bytes,
    meaning ?? Buffer.alloc(0)]));
}
