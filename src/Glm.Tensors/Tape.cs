namespace Glm.Tensors;

/// <summary>
/// The operations of one micro-batch in the order in which they ran, each with what turns the gradient of its output into
/// gradients of its inputs. Walking it backwards is back-propagation.
/// </summary>
public sealed class Tape
{
    private readonly List<Action> _backward = [];

    /// <summary>Number of recorded operations.</summary>
    public int Count => _backward.Count;

    internal void Record(Action backward) => _backward.Add(backward);

    /// <summary>Runs all recorded operations backwards and forgets them. The gradient of the last output must have been set.</summary>
    internal void Run()
    {
        for (int i = _backward.Count - 1; i >= 0; i--) _backward[i]();
        _backward.Clear();
    }

    /// <summary>Forgets what was recorded.</summary>
    internal void Clear() => _backward.Clear();
}
