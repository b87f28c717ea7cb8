namespace Glm.Models.Tests;

/// <summary>Comparison of arrays with a tolerance.</summary>
internal static class Close
{
    /// <summary>Requires |actual - expected| to be at most absolute + relative |expected| everywhere.</summary>
    public static void Require(string what, ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, double absolute, double relative = 0)
    {
        Assert.Equal(expected.Length, actual.Length);
        int worst = -1;
        double excess = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            double over = Math.Abs((double)actual[i] - expected[i]) - (absolute + relative * Math.Abs(expected[i]));
            if (double.IsNaN(over)) over = double.PositiveInfinity;
            if (over > excess) (worst, excess) = (i, over);
        }
        if (worst >= 0) Assert.Fail($"{what}: element {worst} of {expected.Length}: expected {expected[worst]:g9}, found {actual[worst]:g9}");
    }
}
