"""Reads BUILD, whose syntax is Python's."""

import ast


def libraries(path):
  """`{py_library: names of its deps}`, in the order of the file."""
  found = {}
  for node in ast.parse(path.read_text('utf-8')).body:
    call = node.value
    values = {keyword.arg: keyword.value for keyword in call.keywords}
    name = ast.literal_eval(values['name'])
    if call.func.id == 'py_library' and name != 'test_support':
      deps = ast.literal_eval(values.get('deps', ast.List([])))
      found[name] = [dep.removeprefix(':') for dep in deps]
  return found


def levels(deps):
  """`{library: length of the longest path down from it}`."""
  found = {}
  for name, its_deps in deps.items():
    found[name] = 1 + max((found[dep] for dep in its_deps), default=-1)
  return found


def reduced(deps):
  """Deps without those that others of the same library bring along."""

  def below(name):
    return {d for dep in deps[name] for d in (dep, *below(dep))}

  return {
    name: [d for d in found if not any(d in below(e) for e in found if e != d)]
    for name, found in deps.items()
  }
