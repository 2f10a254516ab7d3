// Writes docs/node-api.md from the types of the package: `api.js --write PAGE TYPES`, or `--check`, which fails if the page is not
// what the types say. It is run in the directory of the package, whose compiler of TypeScript reads the types.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const ts = createRequire(path.resolve('package.json'))('typescript');
const HEAD = `# The npm package: reference

Made from the types of the package by \`make\`: change \`bindings/node/index.d.ts\`, then run the target \`varve_node_api\`. How to begin, and what
is different from event-storage, is told in [varve for Node](../bindings/node/README.md); programs to read are in
[bindings/node/examples](../bindings/node/examples).
`;
const KINDS = [
    ['Classes', ts.isClassDeclaration],
    ['Functions', ts.isFunctionDeclaration],
    ['Constants', ts.isVariableStatement],
    ['Types', node => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)],
];
// What most programs use comes first; the others follow as in the types.
const FIRST = ['EventStore', 'EventStream', 'JoinEventStream', 'Consumer', 'CommitCondition'];

function plain(comment) {
    return (typeof comment === 'string' ? comment : ts.getTextOfJSDocComment(comment) ?? '').replace(/\s*\n\s*/g, ' ').trim();
}

/** What the comment of a declaration says, and what it throws. */
function wordsOf(node) {
    const parts = (node.jsDoc ?? []).slice(-1).flatMap(doc => [
        plain(doc.comment), ...(doc.tags ?? []).map(tag => `*${tag.tagName.text}*: ${plain(tag.comment)}`)]);
    return parts.filter(Boolean).join('\n\n');
}

/** A declaration as it is written, in one line where it has no lines of its own within braces. */
function codeOf(node, source) {
    const text = source.text.slice(node.getStart(source), node.end).replace(/^(export |declare |readonly (?=\w+ =))+/, '');
    return text.includes('\n') && !/\/\*\*|;\n/.test(text) ? text.replace(/\s*\n\s*/g, ' ') : text.replace(/\n {4}/g, '\n');
}

const block = lines => ['```ts', ...lines, '```'].join('\n');
const nameOf = (node, source) => ts.isVariableStatement(node) ? node.declarationList.declarations[0].name.text : node.name.getText(source);

/** Members of a class: those without words together, each with words by itself; overloads stay together. */
function membersOf(node, source) {
    const parts = [];
    let open = null;
    for (const member of node.members) {
        const name = ts.isConstructorDeclaration(member) ? 'constructor' : member.name?.getText(source) ?? '';
        const words = wordsOf(member);
        const alike = open && (open.name === name || (!words && !open.words));
        if (!alike) parts.push(open = { name, words: '', lines: [] });
        open.name = name;
        open.lines.push(codeOf(member, source));
        open.words = [open.words, words].filter(Boolean).join('\n\n');
    }
    return parts.map(({ lines, words }) => [block(lines), words].filter(Boolean).join('\n\n'));
}

function headOf(node, source) {
    const parents = (node.heritageClauses ?? []).map(clause => clause.getText(source)).join(' ');
    const types = node.typeParameters ? `<${node.typeParameters.map(type => type.getText(source)).join(', ')}>` : '';
    return `class ${nameOf(node, source)}${types}${parents ? ` ${parents}` : ''}`;
}

function sectionOf(node, source) {
    const parts = [`### ${nameOf(node, source)}`];
    const code = ts.isClassDeclaration(node) ? headOf(node, source) : codeOf(node, source);
    parts.push(block([code]), wordsOf(node));
    if (ts.isClassDeclaration(node)) parts.push(...membersOf(node, source));
    return parts.filter(Boolean).join('\n\n');
}

/** The whole page. */
export function page(text) {
    const source = ts.createSourceFile('index.d.ts', text, ts.ScriptTarget.Latest, true);
    const place = node => (FIRST.indexOf(nameOf(node, source)) + FIRST.length + 1) % (FIRST.length + 1);
    const parts = [HEAD.trimEnd()];
    for (const [title, belongs] of KINDS) {
        const nodes = source.statements.filter(belongs).sort((a, b) => place(a) - place(b));
        const names = [...new Set(nodes.map(node => nameOf(node, source)))];
        parts.push(`## ${title}`, names.map(name => `[${name}](#${name.toLowerCase()})`).join(', ') + '.');
        parts.push(...nodes.map(node => sectionOf(node, source)));
    }
    return `${parts.join('\n\n')}\n`;
}

const [mode, target, types] = process.argv.slice(2);
const wanted = page(fs.readFileSync(types, 'utf8'));
if (mode === '--write') {
    fs.writeFileSync(target, wanted);
} else if (fs.readFileSync(target, 'utf8') !== wanted) {
    console.error(`${target} is not what ${types} says: build the target varve_node_api`);
    process.exit(1);
}
