// JupyterLab shows a picture in an output without its alternative text, though the notebook holds one for it
// (https://github.com/jupyter/enhancement-proposals/issues/120). This extension passes it on to the <img>.
//
// It is written by hand as webpack would write it: a container with `init` and `get`, which JupyterLab loads.
(function () {
  let shared;

  async function activate(app, rendermime) {
    for (const mime of ["image/png", "image/svg+xml"]) {
      const factory = rendermime.getFactory(mime);
      rendermime.addFactory({
        ...factory,
        createRenderer: (options) => {
          const renderer = factory.createRenderer(options);
          const render = renderer.renderModel.bind(renderer);
          renderer.renderModel = async (model) => {
            await render(model);
            const image = renderer.node.querySelector("img");
            if (image) image.alt = model.metadata[mime]?.alt ?? "";
          };
          return renderer;
        },
      });
    }
  }

  async function get() {
    const versions = Object.values(shared["@jupyterlab/rendermime"]);
    const { IRenderMimeRegistry } = (await versions[0].get())();
    const plugin = { id: "teams-alt-text:plugin", autoStart: true, requires: [IRenderMimeRegistry], activate };
    return () => ({ __esModule: true, default: plugin });
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["teams-alt-text"] = { init: (scope) => { shared = scope; }, get };
})();
