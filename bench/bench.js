#!/usr/bin/env node
import { main } from './harness/main.js';
import { trials } from './trials/index.js';

process.exitCode = await main(trials, process.argv.slice(2));
