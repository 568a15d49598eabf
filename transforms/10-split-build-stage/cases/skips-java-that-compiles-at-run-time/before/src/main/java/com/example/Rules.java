package com.example;

import javax.tools.ToolProvider;

class Rules {}
