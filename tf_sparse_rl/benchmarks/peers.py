"""Times a peer's agent at our benchmark's work; prints a line of JSON.

A script for the peer's own interpreter: it imports neither TensorFlow nor us.
"""

import argparse
import importlib
import json
import os
import statistics
import tempfile
import time

_PACKAGES = {'sb3': 'stable_baselines3', 'sbx': 'sbx'}
_INSTALL = {'sb3': '"stable-baselines3==2.9.*"', 'sbx': '"sbx-rl==0.28.*"'}
_LEARNING_STARTS = 200  # Env steps; within the warm-up, as XLA's compile is.


def parse_args(argv=None) -> argparse.Namespace:
  """Returns the flags; `hidden` as a list of units."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--peer', choices=sorted(_INSTALL), required=True)
  parser.add_argument('--agent', choices=['dqn', 'sac', 'ppo'], default='dqn')
  parser.add_argument('--env_name', default='CartPole-v1')
  parser.add_argument('--num_env_steps', type=int, default=4000)
  parser.add_argument('--warmup_env_steps', type=int, default=1000)
  parser.add_argument('--hidden', default='512,512', help='units a layer')
  parser.add_argument('--network', choices=['mlp', 'nature_cnn'], default='mlp')
  parser.add_argument('--batch_size', type=int, default=128)
  parser.add_argument('--train_period', type=int, default=1)
  parser.add_argument(
    '--train_step_calls', type=int, default=0, help='train steps timed alone'
  )
  # Unset: every core, faster than 1 for both peers on 2 quiet cores. Beside
  # other work torch's threads spin and can lose to 1 manyfold: time both then.
  parser.add_argument('--threads', type=int, default=None)
  args = parser.parse_args(argv)
  args.hidden = [int(units) for units in args.hidden.split(',')]
  if args.num_env_steps < 1 or args.warmup_env_steps <= _LEARNING_STARTS:
    parser.error(
      f'num_env_steps >= 1 and warmup_env_steps > {_LEARNING_STARTS} expected. '
      f'Received: {args.num_env_steps}, {args.warmup_env_steps}'
    )
  if args.network != 'mlp' and (args.peer, args.agent) != ('sb3', 'dqn'):
    parser.error(
      f'{args.network}: sb3 with dqn. Received: {args.peer} with {args.agent}'
    )
  # SBX builds two hidden layers of the first width, whatever it is given.
  if args.peer == 'sbx' and args.hidden != args.hidden[:1] * 2:
    parser.error(f'sbx: two equal hidden layers. Received: {args.hidden}')
  return args


def import_peer(peer: str, threads: int | None):
  """Returns the peer's package, told to use `threads` threads."""
  if threads:
    os.environ['NPROC'] = str(threads)  # XLA's pools; read when JAX starts.
  try:
    package = importlib.import_module(_PACKAGES[peer])
    torch = importlib.import_module('torch')  # Both peers need it.
  except ImportError as error:
    raise SystemExit(
      f'{peer} is needed in this interpreter ({error}). Make it its own: '
      f'python -m venv ENV && ENV/bin/pip install {_INSTALL[peer]}'
    ) from error
  if threads:
    torch.set_num_threads(threads)
  return package


def make_game(env_name: str):
  """Returns a game of Atari that is played as ours is, rewards clipped."""
  gym = importlib.import_module('gymnasium')
  try:
    ale_py = importlib.import_module('ale_py')
    importlib.import_module('cv2')
  except ImportError as error:
    raise SystemExit(
      f'Atari needs packages that are missing in this interpreter ({error}): '
      'pip install ale-py opencv-python-headless'
    ) from error
  ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
  gym.register_envs(ale_py)
  game = gym.make(env_name, frameskip=1, max_num_frames_per_episode=0)
  game = gym.wrappers.AtariPreprocessing(game, noop_max=0)
  game = gym.wrappers.TimeLimit(game, 27_000)
  game = gym.wrappers.TransformReward(game, lambda r: max(-1.0, min(1.0, r)))
  return gym.wrappers.FrameStackObservation(game, 4, padding_type='zero')


def nature_cnn():
  """Returns the class of a Nature CNN's convolutions, padded as ours.

  The peer's own are not: they have less than half of the features.
  """
  nn = importlib.import_module('torch.nn')
  base = importlib.import_module('stable_baselines3.common.torch_layers')

  class NatureCnn(base.BaseFeaturesExtractor):
    def __init__(self, observation_space):
      super().__init__(observation_space, features_dim=11 * 11 * 64)
      self.layers = nn.Sequential(
        nn.Conv2d(4, 32, 8, 4, padding=2),
        nn.ReLU(),
        nn.ZeroPad2d((1, 2, 1, 2)),
        nn.Conv2d(32, 64, 4, 2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
      )

    def forward(self, observations):
      return self.layers(observations)

  return NatureCnn


def make_model(package, args: argparse.Namespace):
  """Returns the peer's agent, with our presets; PPO's rollouts are 2048."""
  total_env_steps = args.warmup_env_steps + args.num_env_steps
  if args.agent == 'dqn':
    kind = package.DQN
    options = {
      'learning_rate': 1e-3,
      'buffer_size': 100_000,
      'target_update_interval': 100,
      # Greedy before the clock starts: acting by the network is part of it.
      'exploration_fraction': 0.5 * args.warmup_env_steps / total_env_steps,
      'exploration_final_eps': 0.01,
    }
    if args.network == 'nature_cnn':
      # A transition has two images of its own here.
      options.update(learning_rate=2.5e-4, buffer_size=10_000)
      options.update(target_update_interval=8000)
  elif args.agent == 'sac':
    kind = package.SAC
    options = {'learning_rate': 3e-4, 'buffer_size': 1_000_000, 'tau': 0.005}
  else:
    kind = package.PPO
    options = {'learning_rate': 3e-4, 'n_steps': 2048, 'n_epochs': 10}
  if args.agent != 'ppo':
    options['learning_starts'] = _LEARNING_STARTS
    options.update(train_freq=args.train_period, gradient_steps=1)
  policy, env = 'MlpPolicy', args.env_name
  networks = {'net_arch': args.hidden}
  if args.network == 'nature_cnn':
    policy, env = 'CnnPolicy', make_game(args.env_name)
    networks['features_extractor_class'] = nature_cnn()
  return kind(
    policy,
    env,
    batch_size=args.batch_size,
    gamma=0.99,
    policy_kwargs=networks,
    device='cpu',
    verbose=0,
    seed=0,
    **options,
  )


def time_model(model, args: argparse.Namespace) -> tuple[float, float]:
  """Times `num_env_steps` env steps after the warm-up.

  Returns:
    (seconds, CPU seconds of all threads).
  """
  times = {}  # By env step.
  end = args.warmup_env_steps + args.num_env_steps

  # Called between an env step and its train step: N calls apart, N of each.
  def on_step(*_):
    times[model.num_timesteps] = time.perf_counter(), time.process_time()
    return True

  model.learn(end, callback=on_step, log_interval=None)
  begin = times[args.warmup_env_steps]
  return times[end][0] - begin[0], times[end][1] - begin[1]


def time_train_step(model, args: argparse.Namespace) -> float:
  """Returns the median milliseconds of a train step alone."""
  times = []
  for _ in range(args.train_step_calls):
    begin = time.perf_counter()
    model.train(gradient_steps=1, batch_size=args.batch_size)
    times.append(time.perf_counter() - begin)
  return 1000 * statistics.median(times)


def main(argv=None) -> None:
  """Times the peer and prints the figures."""
  args = parse_args(argv)
  os.chdir(tempfile.gettempdir())  # MuJoCo logs its warnings where it is.
  package = import_peer(args.peer, args.threads)
  model = make_model(package, args)
  seconds, cpu_seconds = time_model(model, args)
  result = {
    'peer': args.peer,
    'version': package.__version__,
    'env_steps': args.num_env_steps,
    'env_steps_per_sec': round(args.num_env_steps / seconds, 1),
    'env_steps_per_cpu_sec': round(args.num_env_steps / cpu_seconds, 1),
  }
  if args.train_step_calls:
    result['train_step_ms'] = round(time_train_step(model, args), 4)
  print(json.dumps({**result, 'seconds': round(seconds, 3)}))


if __name__ == '__main__':
  main()
