// SPDX-License-Identifier: Apache-2.0
//
// JSON.parse, for differential.c: reads batches from its standard input, and
// answers each by 5 bytes a document: 1 if it is JSON, and the digest (digest.h) of
// what it means.
'use strict';
const fs = require('fs');

// A refusal is no news: nobody wants to know where it came from.
Error.stackTraceLimit = 0;

const decoder = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});
const double = new Float64Array(1);
const halves = new Uint32Array(double.buffer);

function mix(h, k) {
  k = Math.imul(k, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  h ^= k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

// What no Postgres text can hold counts as U+FFFD.
function text(h, string) {
  for (let i = 0; i < string.length; i++) {
    const c = string.charCodeAt(i);
    if (c >= 0xd800 && c < 0xe000) {
      const next = string.charCodeAt(i + 1);
      if (c < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
        h = mix(mix(h, c), next);
        i++;
      } else {
        h = mix(h, 0xfffd);
      }
    } else {
      h = mix(h, c === 0 ? 0xfffd : c);
    }
  }
  return h;
}

function digest(value) {
  switch (typeof value) {
    case 'string': return text(5, value);
    case 'number':
      double[0] = value === 0 ? 0 : value;
      return mix(mix(4, halves[0]), halves[1]);
    case 'boolean': return value ? 2 : 3;
  }
  if (value === null) return 1;
  if (Array.isArray(value)) {
    let h = 6;
    for (const element of value) h = mix(h, digest(element));
    return h;
  }
  // The order of members means nothing.
  let sum = 0;
  for (const key of Object.keys(value))
    sum = (sum + mix(text(8, key), digest(value[key]))) | 0;
  return mix(7, sum);
}

function judge(bytes, out, at) {
  let value;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch {
    out[at] = 0;
    out.writeInt32LE(0, at + 1);
    return;
  }
  out[at] = 1;
  out.writeInt32LE(digest(value), at + 1);
}

// All SIZE bytes, or null at the end.
function read(size) {
  const buffer = Buffer.allocUnsafe(size);
  for (let have = 0; have < size;) {
    const n = fs.readSync(0, buffer, have, size - have);
    if (n === 0) return null;
    have += n;
  }
  return buffer;
}

for (let head; (head = read(8)) !== null;) {
  const batch = read(head.readUInt32LE(0));
  const count = head.readUInt32LE(4);
  const out = Buffer.alloc(count * 5);
  for (let i = 0, at = 0; i < count; i++) {
    const length = batch.readUInt32LE(at);
    judge(batch.subarray(at + 4, at + 4 + length), out, i * 5);
    at += 4 + length;
  }
  for (let sent = 0; sent < out.length;)
    sent += fs.writeSync(1, out, sent);
}
