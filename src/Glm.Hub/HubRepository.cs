using System.Text.RegularExpressions;

namespace Glm.Hub;

/// <summary>A repository of a hub at one of its revisions (branch, tag or commit), and the addresses of what is in it.</summary>
internal sealed partial record HubRepository
{
    public HubRepository(string name, string revision)
    {
        if (!NamePattern().IsMatch(name) || name.Contains("..", StringComparison.Ordinal))
            throw new GlmException($"expected a repository such as THUDM/chatglm3-6b, found {name.Shown()}");
        if (!RevisionPattern().IsMatch(revision) || revision.Contains("..", StringComparison.Ordinal))
            throw new GlmException($"{name}: expected a branch, tag or commit as revision, found {revision.Shown()}");
        (Name, Revision) = (name, revision);
    }

    public string Name { get; }

    public string Revision { get; }

    /// <summary>Where the first page of the list of files is.</summary>
    public Uri Listing(Uri endpoint) => new($"{Base(endpoint)}api/models/{Name}/tree/{Uri.EscapeDataString(Revision)}?recursive=true");

    /// <summary>Where a file is, or a redirect to it.</summary>
    public Uri AddressOf(Uri endpoint, HubFile file) =>
        new($"{Base(endpoint)}{Name}/resolve/{Uri.EscapeDataString(Revision)}/{string.Join('/', file.Path.Split('/').Select(Uri.EscapeDataString))}");

    private static string Base(Uri endpoint) => endpoint.AbsoluteUri.TrimEnd('/') + "/";

    [GeneratedRegex(@"^\w[\w.-]*(/\w[\w.-]*)?\z", RegexOptions.ECMAScript)]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"^\w[\w./+@-]*\z", RegexOptions.ECMAScript)]
    private static partial Regex RevisionPattern();
}
