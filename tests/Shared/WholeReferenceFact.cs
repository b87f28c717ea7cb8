namespace Glm.Tests;

/// <summary>A test that needs more than the reference vectors in the repository; skipped where they are absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class WholeReferenceFactAttribute : FactAttribute
{
    public WholeReferenceFactAttribute()
    {
        if (TestFiles.WholeReference is null) Skip = "needs the whole folder of reference vectors: set GLM_REFERENCE";
    }
}
