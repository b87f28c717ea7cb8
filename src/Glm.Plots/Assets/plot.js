'use strict';
// Values under the pointer and zoom for line plots. Data reaches the page as text and attributes alone, never as markup.
(() => {
  const SVG = 'http://www.w3.org/2000/svg';
  const make = (name, attributes, parent, namespace) => {
    const node = namespace ? document.createElementNS(namespace, name) : document.createElement(name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (parent) parent.appendChild(node);
    return node;
  };

  // The rules of Ticks.cs.
  const linear = (low, high, count) => {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw)), ratio = raw / power;
    const step = power * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10), ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i <= Math.floor(high / step + 1e-9) && ticks.length < 100; i++) ticks.push([i * step, step]);
    return ticks;
  };
  const ticksOf = (low, high, log, count) => {
    const decades = Math.log10(high / low);
    if (!log || decades < 0.7) return linear(low, high, count);
    const ticks = [], every = Math.max(1, Math.ceil(decades / count));
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
      if (power % every === 0)
        for (const digit of decades * 3 <= count ? [1, 2, 5] : [1]) {
          const value = digit * 10 ** power;
          if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) ticks.push([value, 10 ** power]);
        }
    return ticks;
  };
  const label = (value, step) => {
    const size = Math.abs(value);
    if (size < step * 1e-6 || size === 0) return '0';
    if (size < 1e-3 || size >= 1e12) return value.toExponential(Math.min(9, Math.max(0, Math.ceil(Math.log10(size / step) - 1e-9)))).replace(/\.?0+e/, 'e').replace('e+', 'e').replaceAll('-', '\u2212');
    const [divisor, suffix] = size >= 1e9 ? [1e9, 'B'] : size >= 1e6 ? [1e6, 'M'] : size >= (step >= 1e4 ? 1e4 : 1e5) ? [1e3, 'K'] : [1, ''];
    const decimals = Math.min(9, Math.max(0, Math.ceil(-Math.log10(step / divisor) - 1e-9)));
    return (value / divisor).toLocaleString('en', { minimumFractionDigits: 0, maximumFractionDigits: decimals }).replace('-', '\u2212') + suffix;
  };

  const scale = (axis, low, high, start, end) => {
    const at = axis.log ? Math.log : value => value, from = axis.log ? Math.exp : value => value;
    const a = at(low), b = at(high);
    return { to: value => start + (end - start) * (at(value) - a) / (b - a), back: pixel => from(a + (b - a) * (pixel - start) / (end - start)) };
  };

  const interactive = (figure, data, svg) => {
    const [left, top, right, bottom] = svg.dataset.area.split(' ').map(Number);
    const isNarrow = svg.classList.contains('narrow'), paths = svg.querySelectorAll('.lines path'), ticks = svg.querySelector('.ticks');
    const first = { paths: [...paths].map(path => path.getAttribute('d')), ticks: [...ticks.childNodes] };
    const shown = (axis, value) => value !== null && (!axis.log || value > 0);
    let range = data.x.range, x, y, cursor = null;
    const layer = make('g', {}, svg, SVG), drag = make('rect', { class: 'drag', y: top, height: bottom - top, width: 0 }, svg, SVG);
    const cover = make('rect', { x: left, y: top, width: right - left, height: bottom - top, fill: 'transparent' }, svg, SVG);
    cover.style.touchAction = 'pan-y';
    const tip = make('div', { class: 'tip', role: 'status' }, figure);
    tip.hidden = true;

    const bounds = () => {
      if (range === data.x.range) return data.y.range;
      let low = Infinity, high = -Infinity;
      for (const series of data.series)
        for (let i = 0; i < series.x.length; i++)
          if (series.x[i] >= range[0] && series.x[i] <= range[1] && shown(data.y, series.y[i])) {
            low = Math.min(low, series.y[i]);
            high = Math.max(high, series.y[i]);
          }
      if (low > high) return data.y.range;
      if (data.y.log) return low === high ? [low / 2, high * 2] : [low * (low / high) ** 0.05, high * (high / low) ** 0.05];
      const room = low === high ? Math.max(Math.abs(low) / 2, 0.5) : (high - low) * 0.05;
      return [low - room, high + room];
    };

    const draw = () => {
      const isWhole = range === data.x.range, vertical = bounds();
      x = scale(data.x, range[0], range[1], left, right);
      y = scale(data.y, vertical[0], vertical[1], bottom, top);
      if (isWhole) {
        paths.forEach((path, i) => path.setAttribute('d', first.paths[i]));
        ticks.replaceChildren(...first.ticks);
        return;
      }
      data.series.forEach((series, s) => {
        let path = '', drawing = false;
        for (let i = 0; i < series.x.length; i++) {
          if (!shown(data.x, series.x[i]) || !shown(data.y, series.y[i]) || series.x[i] < range[0] || series.x[i] > range[1]) { drawing = false; continue; }
          path += (drawing ? 'L' : 'M') + x.to(series.x[i]).toFixed(2) + ' ' + y.to(series.y[i]).toFixed(2) + (drawing ? '' : 'h0');
          drawing = !series.dots;
        }
        paths[s].setAttribute('d', path);
      });
      ticks.replaceChildren();
      for (const [value, step] of ticksOf(vertical[0], vertical[1], data.y.log, 6)) {
        make('line', { class: 'grid', x1: left, x2: right, y1: y.to(value), y2: y.to(value) }, ticks, SVG);
        make('text', { class: 'soft', x: left - 6, y: y.to(value) + 4.5, 'text-anchor': 'end' }, ticks, SVG).textContent = label(value, step);
      }
      for (const [value, step] of ticksOf(range[0], range[1], data.x.log, isNarrow ? 4 : 8)) {
        make('line', { class: 'axis', x1: x.to(value), x2: x.to(value), y1: bottom, y2: bottom + 4 }, ticks, SVG);
        make('text', { class: 'soft', x: x.to(value), y: bottom + 18, 'text-anchor': 'middle' }, ticks, SVG).textContent = label(value, step);
      }
      make('line', { class: 'axis', x1: left, x2: right, y1: bottom, y2: bottom }, ticks, SVG);
    };

    const nearest = (xs, value) => {
      let low = 0, high = xs.length - 1;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (xs[middle] < value) low = middle; else high = middle;
      }
      return Math.abs(xs[low] - value) <= Math.abs(xs[high] - value) ? low : high;
    };

    const point = value => {
      cursor = value;
      layer.replaceChildren();
      tip.replaceChildren();
      tip.hidden = value === null;
      if (value === null) return;
      make('line', { class: 'cross', x1: x.to(value), x2: x.to(value), y1: top, y2: bottom }, layer, SVG);
      const precise = number => Number(number.toPrecision(5)).toLocaleString('en', { maximumSignificantDigits: 5 });
      let head = value;
      for (const series of data.series) {
        if (series.faint || series.x.length === 0) continue;
        const i = nearest(series.x, value);
        head = series.x[i];
        if (series.x[i] < range[0] || series.x[i] > range[1] || !shown(data.y, series.y[i])) continue;
        make('circle', { class: 'f' + series.slot, cx: x.to(series.x[i]), cy: y.to(series.y[i]), r: 3.5 }, layer, SVG);
        const row = make('div', {}, tip);
        make('i', {}, row).style.background = 'var(--c' + series.slot + ')';
        row.append(series.name + ': ' + precise(series.y[i]));
      }
      const title = make('div', {});
      title.textContent = (data.x.title ? data.x.title + ' ' : '') + head.toLocaleString('en', { maximumSignificantDigits: 9 });
      tip.prepend(title);
      const box = svg.getBoundingClientRect(), frame = figure.getBoundingClientRect(), ratio = box.width / svg.viewBox.baseVal.width, at = x.to(value) * ratio;
      tip.style.top = (box.top - frame.top + top * ratio + 4) + 'px';
      tip.style.left = Math.max(0, at + 12 + tip.offsetWidth > box.width ? at - 12 - tip.offsetWidth : at + 12) + 'px';
    };

    const pixel = event => {
      const box = svg.getBoundingClientRect();
      return Math.min(right, Math.max(left, (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width));
    };
    const zoom = (low, high) => {
      const whole = data.x.range;
      low = Math.max(low, whole[0]);
      high = Math.min(high, whole[1]);
      range = low <= whole[0] && high >= whole[1] || !(high > low) ? whole : [low, high];
      draw();
      point(cursor !== null && cursor >= range[0] && cursor <= range[1] ? cursor : null);
    };
    const by = factor => {
      const centre = x.to(cursor ?? x.back((left + right) / 2)), half = (right - left) / 2 / factor;
      zoom(x.back(centre - half), x.back(centre + half));
    };
    const whole = () => zoom(data.x.range[0], data.x.range[1]);

    let start = null;
    cover.addEventListener('pointerdown', event => {
      if (event.pointerType === 'touch' || event.button !== 0) return;
      start = pixel(event);
      cover.setPointerCapture(event.pointerId);
    });
    cover.addEventListener('pointermove', event => {
      const at = pixel(event);
      if (start !== null) {
        drag.setAttribute('x', Math.min(start, at));
        drag.setAttribute('width', Math.abs(at - start));
      }
      point(x.back(at));
    });
    cover.addEventListener('pointerup', event => {
      const at = pixel(event), from = start;
      start = null;
      drag.setAttribute('width', 0);
      if (from !== null && Math.abs(at - from) > 5) zoom(x.back(Math.min(from, at)), x.back(Math.max(from, at)));
      else point(x.back(at));
    });
    cover.addEventListener('pointercancel', () => { start = null; drag.setAttribute('width', 0); });
    cover.addEventListener('pointerleave', () => { if (start === null) point(null); });
    cover.addEventListener('dblclick', whole);

    svg.setAttribute('tabindex', '0');
    svg.addEventListener('blur', () => point(null));
    svg.addEventListener('keydown', event => {
      const step = (right - left) / 50;
      if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
        const at = cursor === null ? (left + right) / 2 : x.to(cursor) + (event.key === 'ArrowLeft' ? -step : step);
        point(x.back(Math.min(right, Math.max(left, at))));
      } else if (event.key === '+' || event.key === '=') by(2);
      else if (event.key === '-') by(0.5);
      else if (event.key === 'Escape' || event.key === '0') whole();
      else return;
      event.preventDefault();
    });
    draw();
    return { by, whole };
  };

  for (const figure of document.querySelectorAll('figure')) {
    const source = figure.querySelector('script[type="application/json"]');
    if (!source) continue;
    const data = JSON.parse(source.textContent);
    const views = [...figure.querySelectorAll('svg[data-area]')].map(svg => interactive(figure, data, svg));
    const bar = make('div', { class: 'bar' }, figure);
    for (const [text, name, action] of [['+', 'Zoom in', view => view.by(2)], ['\u2212', 'Zoom out', view => view.by(0.5)], ['Reset', 'Show everything', view => view.whole()]]) {
      const button = make('button', { type: 'button', 'aria-label': name, title: name }, bar);
      button.textContent = text;
      button.addEventListener('click', () => views.forEach(action));
    }
  }
})();
