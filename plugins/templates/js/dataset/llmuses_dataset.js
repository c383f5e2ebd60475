// The bridge between a format of data sets in JavaScript and the load tester llmuses (contract 0.2).
//
// A format is a class that extends `Format`; `component.js` makes a WebAssembly component of it. It reads the data set
// through this file and `llmuses_plugin.js`, so that it runs in Node too: in tests, `entriesFrom` stands in for the host.

import { BadEntry, PerfPlugin, Requests, decode, explain, settleIn } from "./llmuses_plugin.js";

/**
 * What every format extends. `this.lines()` and `this.items()` read the data set, and `this.skip(reason)` counts an entry
 * that is passed over on purpose.
 */
export class Format extends PerfPlugin {
  /**
   * Makes conversations: a generator of objects. wit/entry.schema.json has their members. Yield a `BadEntry` to report
   * an entry and go on with the next. `options` has `field`, where the user names one, and `file_name`.
   */
  *entries(options) {
    throw new Error("entries is missing");
  }

  /** Whether a file that begins like this is likely to be of this format. */
  recognises(head) {
    return false;
  }

  buildRequest(options) {
    return this.entries(options);
  }
}

/** What `component.js` exports: the functions of the contract. Errors leave it as texts. */
export function component(Kind, host) {
  settleIn(host);
  const name = Kind.pluginName;

  class Entries {
    constructor(entries) {
      this._entries = entries;
    }

    next(max) {
      try {
        return this._entries.next(max);
      } catch (error) {
        throw explain(error);
      }
    }

    skipped() {
      return this._entries.skipped();
    }
  }

  return {
    Entries,

    describe() {
      return [{ name, version: Kind.version, description: Kind.description }];
    },

    recognises(head) {
      try {
        return new Kind().recognises(decode(head)) ? name : null;
      } catch {
        // What is not UTF-8, or ends in the middle of a character, is left to those who know better.
        return null;
      }
    },

    open(options) {
      try {
        const format = new Kind();
        format._datasets = host.datasets;
        return new Entries(new Requests(format, JSON.parse(options)));
      } catch (error) {
        throw explain(error);
      }
    },
  };
}

/**
 * For tests: all conversations that a format makes of `lines`, or of the `items` of a JSON array. A bad entry is in the
 * list as a `BadEntry`.
 */
export function entriesFrom(Kind, { lines = [], items = [] }) {
  const reader = (all) => {
    const left = [...all];
    return { next: () => left.splice(0, 1) };
  };
  const format = new Kind();
  format._datasets = {
    lineByLine: () => reader(lines),
    jsonList: () => reader(items.map((item) => JSON.stringify(item))),
  };
  const entries = new Requests(format, {});
  const made = [];
  for (;;) {
    try {
      const batch = entries.next(1);
      if (batch.length === 0) return made;
      made.push(JSON.parse(batch[0]));
    } catch (error) {
      if (!(error instanceof BadEntry)) throw error;
      made.push(error);
    }
  }
}
