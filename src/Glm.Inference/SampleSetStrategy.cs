namespace Glm.Inference;

/// <summary>Several samples of what may follow one context, which is read once: each draws as it would alone.</summary>
/// <param name="samples">How each sample is drawn, at least one.</param>
public sealed class SampleSetStrategy(IReadOnlyList<SamplingStrategy> samples) : DecodingStrategy
{
    private readonly List<BeamStep> _steps = [];
    private List<SamplingStrategy> _running = [];
    private float[] _logits = [];
    private bool _atContext;

    /// <inheritdoc/>
    public override int MaxBeams => samples.Count;

    /// <inheritdoc/>
    public override bool Done => _running.Count == 0;

    /// <inheritdoc/>
    public override void Begin(ReadOnlySpan<int> context)
    {
        foreach (var sample in samples) sample.Begin(context);
        _running = [.. samples];
        _atContext = true;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<BeamStep> Step(Span<float> logits, int vocabulary)
    {
        _steps.Clear();
        var running = new List<SamplingStrategy>(_running.Count);
        if (_atContext && _logits.Length < vocabulary) _logits = new float[vocabulary];
        for (int i = 0; i < _running.Count; i++)
        {
            int beam = _atContext ? 0 : i;
            var row = logits.Slice(beam * vocabulary, vocabulary);
            if (_atContext)
            {
                // All begin with the same row, and drawing overwrites it.
                row.CopyTo(_logits);
                row = _logits.AsSpan(0, vocabulary);
            }
            int token = _running[i].Step(row, vocabulary)[0].Token;
            if (_running[i].Done) continue;
            running.Add(_running[i]);
            _steps.Add(new BeamStep(beam, token));
        }
        (_running, _atContext) = (running, false);
        return _steps;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Candidate> Finish() => [.. samples.Select(sample => sample.Finish()[0])];
}
