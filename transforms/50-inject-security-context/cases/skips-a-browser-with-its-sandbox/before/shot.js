require("puppeteer").launch().then((browser) => browser.close());
