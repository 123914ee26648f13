// What jupyter-builder adds to its own settings for the front end.
module.exports = {
  // Its list of other people's licences leaves out most packages whose modules are put together.
  optimization: { concatenateModules: false }
};
