namespace Glm.Training;

/// <summary>Samples that are drawn and discarded: they advance the data, not the schedules (spec 4.4).</summary>
/// <param name="From">Number of the first, counted over all samples drawn.</param>
/// <param name="To">Number after the last.</param>
public sealed record SkipRange(long From, long To);

/// <summary>
/// Which samples a run trains on. Two counts tell where it stands: <em>iterated</em> samples were drawn from the data, <em>consumed</em> ones trained on;
/// learning rate and batch size follow the consumed ones, what a sample is follows its number among the iterated ones.
/// </summary>
public sealed class SampleOrder(IReadOnlyList<SkipRange> skipped)
{
    private readonly SkipRange[] _skipped = [.. skipped.OrderBy(range => range.From)];

    /// <summary>The numbers of the next samples that are trained on, and how many will have been drawn after them.</summary>
    /// <param name="iterated">Samples drawn so far.</param>
    /// <param name="count">Samples wanted.</param>
    public (long[] Samples, long Iterated) Next(long iterated, int count)
    {
        long[] samples = new long[count];
        for (int i = 0; i < count; i++)
        {
            foreach (var range in _skipped)
                if (iterated >= range.From && iterated < range.To) iterated = range.To;
            samples[i] = iterated++;
        }
        return (samples, iterated);
    }
}
