import { directory, tell } from '../shared/child.js';
import { readAll } from './read.js';

await readAll(directory, tell);
