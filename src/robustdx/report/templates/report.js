(function () {
  "use strict";
  var options = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };
  var plots = Array.prototype.slice.call(document.querySelectorAll("[data-plot]"));
  var narrowest = 300, printed = 330;
  plots.forEach(function (place) {
    var figure = JSON.parse(document.getElementById(place.dataset.plot).textContent);
    window.Plotly.newPlot(place, figure.data, figure.layout, options);
  });
  window.addEventListener("beforeprint", function () {
    plots.forEach(function (place) { window.Plotly.relayout(place, { width: Math.max(narrowest, printed), height: 260 }); });
  });
  window.addEventListener("afterprint", function () {
    plots.forEach(function (place) { window.Plotly.relayout(place, { width: null, height: null, autosize: true }); });
  });
})();
