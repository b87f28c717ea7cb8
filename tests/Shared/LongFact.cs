namespace Glm.Tests;

/// <summary>A test of a slow suite: it runs under <c>./test.sh --long</c> (<c>GLM_LONG=1</c>) alone.</summary>
internal sealed class LongFactAttribute : FactAttribute
{
    public LongFactAttribute()
    {
        if (Environment.GetEnvironmentVariable("GLM_LONG") != "1") Skip = "slow: runs with ./test.sh --long";
    }
}
