"use strict";
// The charts, once plotly.js is there.
(() => {
  const report = JSON.parse(document.getElementById("report-data").textContent);
  const config = {
    responsive: true,
    displaylogo: false,
    showTips: false,
    modeBarButtons: [[{
      name: "save",
      title: report.words.save_chart,
      icon: Plotly.Icons.camera,
      click: (chart) => Plotly.downloadImage(chart, { format: "png", scale: 2, filename: chart.dataset.chart }),
    }]],
  };

  const draw = () => {
    for (const place of document.querySelectorAll(".chart")) {
      const { data, layout } = report.charts[place.dataset.chart];
      Plotly.newPlot(place, data, layout, config);
      place.on("plotly_click", (event) => {
        const detail = event.points[0].customdata;
        if (detail !== undefined) document.dispatchEvent(new CustomEvent("show-image", { detail }));
      });
    }
    document.documentElement.dataset.ready = Math.round(performance.now());
  };

  // Paper is narrower than most windows, and lays out once, at once.
  const fit = () => {
    for (const chart of document.querySelectorAll(".chart")) {
      Plotly.relayout(chart, { width: chart.clientWidth, height: chart.layout.height });
    }
  };
  matchMedia("print").addEventListener("change", fit);
  addEventListener("beforeprint", fit);

  requestAnimationFrame(() => setTimeout(draw));
})();
