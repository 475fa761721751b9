// Moves one figure's controls for record.py; resolves when all was asked.
async ([place, most, few, seconds]) => {
  const until = performance.now() + 1000 * seconds;
  const figure = document.querySelectorAll('[data-figure]')[place];
  const pause = ms => new Promise(done => setTimeout(done, ms));
  const settle = async () => {
    if (performance.now() > until) throw new Error(`not done after ${seconds} s`);
    await pause(8);
    await figure.updateComplete;
    do await pause(8); while (window.pending || figure.hasAttribute('data-busy'));
  };
  const all = selector => [...figure.querySelectorAll(selector)].filter(each => !each.disabled);
  const slide = async (slider, most) => {
    const low = Number(slider.min || 0), step = Number(slider.step) || 1;
    const count = Math.round((Number(slider.max) - low) / step) + 1;
    const key = slider.dataset.key, stride = Math.max(1, Math.ceil(count / most));
    for (let i = 0; i < count; i += stride) {
      const found = all('input[type=range]').find(each => each.dataset.key === key) ?? slider;
      found.value = String(low + i * step);
      found.dispatchEvent(new Event('input', { bubbles: true }));
      found.dispatchEvent(new Event('change', { bubbles: true }));
      await settle();
    }
  };
  const sliders = () => all('input[type=range]').map(each => each.dataset.key);
  const back = async () => { figure.querySelector('button.reset')?.click(); await settle(); };
  const each_slider = async (most) => {
    for (const key of sliders()) {
      const slider = all('input[type=range]').find(each => each.dataset.key === key);
      if (slider) await slide(slider, most);
    }
  };
  await each_slider(most);
  await back();
  const options = all('select').map((select, place) => [place, select.options.length]);
  for (const [at, count] of options) {
    for (let i = 0; i < count; i++) {
      const select = all('select')[at];
      if (!select) break;
      select.selectedIndex = i;
      select.dispatchEvent(new Event('change', { bubbles: true }));
      await settle();
      if (count <= few) await each_slider(most);
    }
    await back();
  }
  const buttons = all('button').length;
  for (let i = 0; i < buttons; i++) {
    const button = all('button')[i];
    if (!button || button.classList.contains('reset')) continue;
    button.click();
    await settle();
    if (button.closest('.segments')) await each_slider(most);
    await back();
  }
}
