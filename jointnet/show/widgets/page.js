// What stands in for Jupyter in a page of its own: a model of the traits that the page carries, with nobody to send them to.

function standaloneModel(state) {
  const values = unpack(state), listeners = {};
  const shown = values.packs && values.packs[values.about.name];  // of many scenes, the layers of the first
  if (shown) Object.assign(values, unpack(shown));
  return {
    get: (name) => values[name],
    set(name, value) {
      values[name] = value;
      for (const call of [...(listeners[`change:${name}`] || [])]) call();
    },
    on(event, call) { (listeners[event] = listeners[event] || []).push(call); },
    off(event, call) { listeners[event] = (listeners[event] || []).filter((c) => c !== call); },
    save_changes() {},
    send() {},
  };
}
