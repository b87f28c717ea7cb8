namespace Glm.Tests;

/// <summary>A test that needs the whole reference folder; skipped where it is absent, unless <c>GLM_REFERENCE</c> demands it.</summary>
internal sealed class WholeReferenceFactAttribute : FactAttribute
{
    public WholeReferenceFactAttribute() => Skip = Absent.Reason(TestFiles.WholeReference, "GLM_REFERENCE", "the whole reference folder");
}

/// <summary>A test that needs the data folder; skipped where it is absent, unless <c>GLM_DATA</c> demands it.</summary>
internal sealed class DataFactAttribute : FactAttribute
{
    public DataFactAttribute() => Skip = Absent.Reason(TestFiles.Data, "GLM_DATA", "the data folder");
}

/// <summary>A test of a slow suite (<see cref="LongFactAttribute"/>) that needs the data folder.</summary>
internal sealed class LongDataFactAttribute : FactAttribute
{
    public LongDataFactAttribute() => Skip = new LongFactAttribute().Skip ?? Absent.Reason(TestFiles.Data, "GLM_DATA", "the data folder");
}

/// <summary>A test that needs real tokenizer files; skipped where they are absent, unless <c>GLM_REFERENCE</c> demands them.</summary>
internal sealed class TokenizersFactAttribute : FactAttribute
{
    public TokenizersFactAttribute() => Skip = Absent.Reason(TestFiles.Tokenizers, "GLM_REFERENCE", "the folder of tokenizer files");
}

/// <summary>Why a test is skipped, or null if it runs.</summary>
file static class Absent
{
    public static string? Reason(string? folder, string variable, string what) =>
        folder is null && string.IsNullOrEmpty(Environment.GetEnvironmentVariable(variable)) ? $"{what} is absent (set {variable})" : null;
}
