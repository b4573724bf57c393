(function () {
  "use strict";
  var options = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };
  var plots = Array.prototype.slice.call(document.querySelectorAll("[data-plot]"));
  var narrow = 420, room = 46, printed = 330;

  // On a phone: smaller labels, and only as many as stand beside one another.
  function fitted(axis, width) {
    var every = Math.ceil((axis.tickvals.length * room) / width);
    function kept(_, i) { return i === 0 || (i >= every && (axis.tickvals.length - 1 - i) % every === 0); }
    return Object.assign({}, axis, { tickfont: { size: 11 }, tickvals: axis.tickvals.filter(kept), ticktext: axis.ticktext.filter(kept) });
  }

  plots.forEach(function (place) {
    var figure = JSON.parse(document.getElementById(place.dataset.plot).textContent);
    if (place.clientWidth < narrow) { figure.layout.xaxis = fitted(figure.layout.xaxis, place.clientWidth); }
    window.Plotly.newPlot(place, figure.data, figure.layout, options);
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (more) { more.open = true; });
    plots.forEach(function (place) { window.Plotly.relayout(place, { width: printed, height: 260 }); });
  });
  window.addEventListener("afterprint", function () {
    plots.forEach(function (place) { window.Plotly.relayout(place, { width: null, height: null, autosize: true }); });
  });
})();
