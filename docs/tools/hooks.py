"""Hooks of the site's build: equations, and public names that are missing.

Equations become MathML, which browsers draw without a script. A public name
without a docstring, or without a place on the pages of the API, is a warning;
the build is strict, so it fails.
"""

import ast
import html
import logging
import pathlib
import re

_ROOT = pathlib.Path(__file__).parents[2]
_LOG = logging.getLogger('mkdocs.hooks.tf_sparse_rl')
_EQUATION = re.compile(
  r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL
)
# A prime is raised already: not above the letter once more.
_PRIME = re.compile(r'<msup>(<mi>\w</mi>)<mi>&#x02032;</mi></msup>')
_FETCHED = re.compile(
  r'<(?:script|img|iframe|source)[^>]*src="(https?:[^"]*)"'
  r'|<link[^>]*rel="stylesheet"[^>]*href="(https?:[^"]*)"'
)
_CODE = re.compile(r'<code>([^<\n]+)</code>')
# Words in code that fit on a line of a phone; they would break after hyphens.
_WORD = re.compile(r'(?<!\S)\S{1,26}(?!\S)|(?<!\S)--\S{1,34}(?!\S)')
_API_PAGES = ('python.md', 'sparsity.md')
# Public modules; their public names are `__all__`, or their classes.
_MODULES = (
  *('tf_sparse_rl', 'tf_sparse_rl.sparsity', 'tf_sparse_rl.callbacks'),
)


def on_page_content(content, **_):
  """Writes equations as MathML and keeps short words of code whole."""
  content = _CODE.sub(_whole, content)
  return _EQUATION.sub(_mathml, content)


def _whole(match):
  words = _WORD.sub(r'<span class="whole">\g<0></span>', match[1])
  return f'<code>{words}</code>'


def _mathml(match):
  import latex2mathml.converter  # Late: tests of the rest need no site.

  display = 'inline' if match[2] == '(' else 'block'
  equation = html.unescape(match[3])
  made = latex2mathml.converter.convert(equation, display=display)
  made = _PRIME.sub(r'<mrow>\1<mo>&#x02032;</mo></mrow>', made)
  return made if display == 'inline' else f'<div class="equation">{made}</div>'


def on_post_page(output, page, **_):
  """Tells of what a page would fetch from a network."""
  for address in _FETCHED.findall(output):
    _LOG.warning(f'{page.file.src_uri} fetches {"".join(address)}.')
  return output


def on_pre_build(**_):
  """Tells of public names that no page or no docstring describes."""
  described = set()
  for page in _API_PAGES:
    text = (_ROOT / 'docs' / 'reference' / page).read_text('utf-8')
    described |= set(re.findall(r'^::: (\S+)$', text, re.MULTILINE))
  for problem in problems(described):
    _LOG.warning(problem)


def problems(described):
  """Lists the faults of the description of the public API, in words.

  Args:
    described: full names that the pages describe, in whatever module.

  Returns:
    List of str.
  """
  found = []
  last_names = {name.rpartition('.')[2] for name in described}
  for module in _MODULES:
    for name in _public(_tree(module)):
      if name not in last_names | {'__version__', 'sparsity', 'callbacks'}:
        found.append(f'{module}.{name} is on no page of the reference.')
  for name in sorted(described):
    found += _without_docstring(name)
  return found


def _public(tree):
  """The public names of a module: `__all__`, or its classes."""
  for node in tree.body:
    if isinstance(node, ast.Assign) and _target(node) == '__all__':
      return ast.literal_eval(node.value)
  return [
    node.name
    for node in tree.body
    if isinstance(node, ast.ClassDef) and not node.name.startswith('_')
  ]


def _target(node):
  return getattr(node.targets[0], 'id', None)


def _file(module):
  base = _ROOT.joinpath(*module.split('.'))
  return base / '__init__.py' if base.is_dir() else base.with_suffix('.py')


def _tree(module):
  return ast.parse(_file(module).read_text('utf-8'))


def _without_docstring(name):
  """Sentences on a described module or name, and on its public members."""
  if _file(name).exists():
    nodes = [(name, _tree(name))]
    nodes += [(f'{name}.{n.name}', n) for n in _members(nodes[0][1])]
  else:
    nodes = _definition(*name.rsplit('.', 1))
    if not nodes:
      return [f'{name} is described and does not exist.']
    for own, node in list(nodes):
      if isinstance(node, ast.ClassDef):
        nodes += [(f'{own}.{n.name}', n) for n in _members(node)]
  return [
    f'{own} has no docstring.'
    for own, node in nodes
    if not ast.get_docstring(node) and not _overrides(node)
  ]


def _overrides(node):
  return any(
    isinstance(d, ast.Attribute) and d.attr in ('setter', 'deleter')
    for d in getattr(node, 'decorator_list', ())
  )


def _members(node):
  """Public classes, functions and methods within a module or class."""
  return [
    n
    for n in node.body
    if isinstance(n, (ast.ClassDef, ast.FunctionDef))
    and not n.name.startswith('_')
  ]


def _definition(module, name):
  """[(full name, node)] of a name, followed through imports; [] if none."""
  for node in _tree(module).body:
    if getattr(node, 'name', None) == name:
      return [(f'{module}.{name}', node)]
    if isinstance(node, ast.ImportFrom):
      for alias in node.names:
        if (alias.asname or alias.name) == name:
          return _definition(node.module, alias.name)
  return []
