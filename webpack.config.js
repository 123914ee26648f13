// What jupyter-builder adds to its own settings for the front end.
module.exports = {
  // Its stand-in for Node.js's process: openapi-fetch asks it for a version, and takes none as an answer.
  resolve: { alias: { 'process/browser': false } },
  // The start fetches the names of all chunks: half of each hash tells two builds of a chunk apart.
  output: { hashDigestLength: 8 },
  optimization: {
    // Its list of other people's licences leaves out most packages whose modules are put together.
    concatenateModules: false,
    splitChunks: {
      cacheGroups: {
        // What several views draw with: once, and not in each of them. This chunk is loaded at the start, and only a
        // dialog and a page draw the steps of a test.
        shared: {
          name: 'shared',
          chunks: 'async',
          test: /[\\/]lib[\\/]core[\\/](?!ui[\\/]step-list)/,
          minChunks: 2,
          minSize: 0
        },
        styling: {
          name: 'styling',
          chunks: 'async',
          test: /[\\/](style|css)-loader[\\/]dist[\\/]runtime[\\/]/,
          minChunks: 2,
          minSize: 0
        },
        hosts: {
          name: 'hosts',
          chunks: 'async',
          test: /[\\/](lib|style)[\\/]hosts[\\/]/,
          minChunks: 2,
          minSize: 0
        }
      }
    }
  }
};
